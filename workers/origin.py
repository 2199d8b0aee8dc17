"""Under what a rule was found: contexts, and in each the jobs with their seeds, grammars and configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruleforge.store import Finder, FoundRule, RuleRecord, Store
from workers.describe import describe_context
from workers.scoring import finite

# What of a grammar is said of every job; of the rest what was set.
ALWAYS = ("operators", "constants", "signals")


def found_under(store: Store, rule: RuleRecord) -> list[dict[str, Any]]:
    """Every context where the rule's behaviour is recorded, that of the newest job first (JSON-ready).

    Each with its parameters, what was measured there, in how many jobs the rule was `found`, and the newest of these:
    job, seed, grammar (as its specification has it), study and configuration, and its `test_fitness` if it reported
    this behaviour.
    """
    entries = store.appearances(rule)
    contexts = store.contexts({entry.context for entry in entries if entry.context is not None})
    return [
        {
            **describe_context(contexts[entry.context]),
            **_measured(entry),
            "found": entry.found,
            "jobs": [_job(finder, rule) for finder in store.finders(rule, entry.context)],
        }
        for entry in entries
        if entry.context in contexts
    ]


def _measured(entry: FoundRule) -> dict[str, Any]:
    return {
        "rule": entry.rule.text,
        "fitness": finite(entry.fitness),
        "outcome": entry.outcome,
        "validation_fitness": entry.validation,
        "library_fitness": entry.library,
    }


def _job(finder: Finder, rule: RuleRecord) -> dict[str, Any]:
    spec = finder.spec if isinstance(finder.spec, Mapping) else {}
    reported = finder.reported if isinstance(finder.reported, Mapping) else {}
    grammar = spec.get("grammar")
    return {
        "job": finder.job,
        "seed": spec.get("seed") if isinstance(spec.get("seed"), int) else None,
        "grammar": dict(grammar) if isinstance(grammar, Mapping) else None,
        "study": finder.study,
        "configuration": finder.configuration,
        "test_fitness": reported.get("test_fitness") if reported.get("behaviour") == rule.behaviour else None,
    }
