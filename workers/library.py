"""Scores on the library: the instances that are the same for every job, by which lists of rules are ranked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruleforge.context import Context
from ruleforge.cost import check_cost
from ruleforge.errors import InputError
from ruleforge.family import LIBRARY_SEED, TaskFamily
from ruleforge.family import family as bound_family
from ruleforge.language.identity import Recogniser
from ruleforge.language.rule import Rule
from ruleforge.store import RuleRecord, Store
from workers.evaluators.interface import Evaluator, never
from workers.scoring import FINAL, RuleScore, final_records, rule_record, score_rules

# So many rules are scored at once, and kept: what was scored stays when the others are not waited for.
AT_ONCE = 20


@dataclass(frozen=True)
class OnLibrary:
    """scores: one per rule that was scored to its end; entries: of each the rule and its summary, for the record."""

    scores: list[RuleScore]
    entries: list[tuple[RuleRecord, Mapping[str, Any]]]

    @property
    def summaries(self) -> Mapping[str, Mapping[str, Any]]:
        """By the id of the rule."""
        return {record.id: summary for record, summary in self.entries}

    def of(self, rule_id: str) -> Mapping[str, Any] | None:
        """The summary of a rule, None if it was not scored to its end."""
        return self.summaries.get(rule_id)


def score_on_library(
    evaluator: Evaluator, family: TaskFamily, rules: Sequence[Rule], store: Store, stop: Callable[[], bool] = never
) -> OnLibrary:
    """Score rules and the family's known ones on the library; nothing is chosen by it.

    What the record holds is not simulated again: the known rules cost their time once per context.
    """
    return _scored(evaluator, family, [*rules, *known_rules(family)], store, stop)


def known_rules(family: TaskFamily) -> list[Rule]:
    """The rules of the literature, which stand in the lists of every context that has scores on the library."""
    return [each.rule for each in family.known_rules().values()]


def _scored(
    evaluator: Evaluator, family: TaskFamily, rules: Sequence[Rule], store: Store, stop: Callable[[], bool]
) -> OnLibrary:
    distinct = list({rule.id: rule for rule in rules}.values())
    scores = score_rules(evaluator, family, distinct, family.library_keys(), store=store, stop=stop)
    recogniser = Recogniser(family.known_rules())
    # What ran out of time, say, may have a score on another day.
    ended = [score for score in scores if is_final(score)]
    return OnLibrary(ended, [(rule_record(score.rule, recogniser), score.summary()) for score in ended])


def score_listed(
    evaluator: Evaluator, context: Context, ids: Sequence[str], store: Store, stop: Callable[[], bool] = never
) -> int:
    """Give recorded rules a score on the library of a context, and the known rules; of how many rules it has one now.

    Raises InputError if this context cannot be run here, JobStopped once `stop` is true: what was scored stays.
    """
    if context.parameters is None:
        raise InputError(f"context {context.digest}: nobody recorded its parameters, so that none of it can be scored")
    family = bound_family(context.task, dict(context.parameters))
    if family.context != context:
        raise InputError(
            f"context {context.digest} is of version {context.version} of {context.task}, and here is version "
            f"{family.version}: scores of the two cannot be compared"
        )
    rules = [Rule.from_tokens(store.rule(id).rule.tokens, type(family)) for id in ids]
    for rule in rules:
        check_cost(family.cost(rule.complexity), family.parameters)
    n_scored = 0
    for start in range(0, len(rules), AT_ONCE):
        these = rules[start : start + AT_ONCE]
        found = _scored(evaluator, family, [*these, *known_rules(family)], store, stop)
        store.add_library(context, found.entries, final_records(found.scores))
        n_scored += sum(found.of(rule.id) is not None for rule in these)
    return n_scored


def is_final(score: RuleScore) -> bool:
    """Whether any other run would give this score again."""
    return score.outcome.value in FINAL


def is_library(family: type[TaskFamily], split: str, n: int, seed: int) -> bool:
    """Whether these are the instances by which lists are ranked, no more and no fewer."""
    return (split, n, seed) == ("library", family.search_defaults.library, LIBRARY_SEED)
