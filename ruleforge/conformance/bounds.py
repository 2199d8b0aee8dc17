"""Bounds of parameters: what they let through can be built, or is refused by a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ruleforge.conformance.promises import called
from ruleforge.errors import SpecificationError
from ruleforge.family import TaskFamily
from ruleforge.language.rule import Rule

# What is foreseen to take more is left to those who want it.
MOST_SECONDS, MOST_BYTES = 0.5, 100e6


def check_bounds(family_class: type[TaskFamily], parameters: Mapping[str, Any] | None, rule: Rule) -> None:
    """Each parameter at the bounds that it declares, the others as given: refused, or built and scored."""
    for name, value in _bounds(family_class):
        where = f"at {name} = {value:g}"
        try:
            bound = family_class({**(parameters or {}), name: value})
            key = bound.keys("training", 1, 0)[0]
        except SpecificationError:
            continue
        cost = bound.cost(rule.complexity)
        if cost and (cost.seconds + cost.build_seconds > MOST_SECONDS or cost.instance_bytes > MOST_BYTES):
            continue
        instance = called("what the bounds of parameters let through can be built", where, bound.build, key)
        called("what the bounds of parameters let through can be scored", where, bound.evaluate, [rule], instance)


def _bounds(family_class: type[TaskFamily]) -> Iterator[tuple[str, float]]:
    for name, schema in family_class.Parameters.model_json_schema().get("properties", {}).items():
        for option in schema.get("anyOf", [schema]):
            for bound in ("minimum", "maximum"):
                if bound in option:
                    yield name, option[bound]
