"""A task family in plain data: what `tasks` prints and what a service sends."""

from __future__ import annotations

from typing import Any

from ruleforge.context import Context
from ruleforge.errors import InputError
from ruleforge.family import TaskFamily
from ruleforge.family import family as bound_family


def describe_family(family: type[TaskFamily]) -> dict[str, Any]:
    """Slots, signals, parameters, known rules and search defaults of a family (JSON-ready)."""
    defaults = family.search_defaults
    return {
        "name": family.name,
        "version": family.version,
        "title": family.title,
        "citation": family.citation,
        "fitness": family.fitness_meaning,
        "slots": [
            {
                "name": slot.name,
                "when": slot.when,
                "updates": slot.updates,
                "signals": [
                    {
                        "symbol": signal.symbol,
                        "unit": signal.unit,
                        "meaning": signal.meaning,
                        "range": list(signal.range),
                        "values": list(signal.values),
                        "default": signal.default,
                    }
                    for signal in slot.signals
                ],
            }
            for slot in family.slots
        ],
        "parameters": [
            {"name": name, "default": field.default, "meaning": field.description, **_extra(field.json_schema_extra)}
            for name, field in family.Parameters.model_fields.items()
        ],
        "known_rules": [
            {"name": known.name, "rule": known.rule.text, "citation": known.citation, "published": known.published}
            for known in family.known_rules().values()
        ],
        "search_defaults": {
            "operators": list(defaults.operators),
            "constants": list(defaults.constants),
            "target": defaults.target,
            "training": defaults.training,
            "validation": defaults.validation,
            "test": defaults.test,
            "library": defaults.library,
        },
    }


def describe_context(context: Context) -> dict[str, Any]:
    """A context, and which of its parameters differ from the family's defaults (JSON-ready).

    changed: by name; None where the family is not installed here, or nobody recorded the parameters.
    """
    changed = None
    if context.parameters is not None:
        try:
            defaults = bound_family(context.task).parameters.model_dump(mode="json")
        except InputError:
            pass  # it is listed all the same
        else:
            missing = object()
            changed = {
                name: value for name, value in context.parameters.items() if defaults.get(name, missing) != value
            }
    return {
        "context": context.digest,
        "task": context.task,
        "version": context.version,
        "parameters": context.parameters,
        "changed": changed,
    }


def _extra(schema: Any) -> dict[str, str]:
    given = schema if isinstance(schema, dict) else {}
    return {"unit": str(given.get("unit", "1")), "source": str(given.get("source", ""))}
