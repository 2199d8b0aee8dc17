"""Does a task family keep the contract of `TaskFamily`? For authors of families.

`python -m ruleforge.conformance NAME` checks an installed one; in a test of your own:

    from ruleforge.conformance import check_family
    check_family(MyFamily, {"duration": 100.0})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruleforge.conformance.bounds import check_bounds
from ruleforge.conformance.declarations import check_declarations, check_known_rules
from ruleforge.conformance.instances import check_build, check_keys
from ruleforge.conformance.pictures import check_trace_and_draw
from ruleforge.conformance.promises import ConformanceError, require
from ruleforge.conformance.scoring import (
    check_aggregate,
    check_evaluate,
    check_evaluate_many,
    check_give_up_below,
    check_threads,
    trial_rules,
)
from ruleforge.family import TaskFamily

__all__ = ["ConformanceError", "check_family"]


def check_family(family_class: type[TaskFamily], parameters: Mapping[str, Any] | None = None) -> None:
    """Check everything that `TaskFamily` promises and that can be tried from outside.

    parameters: those of the family that make its problems small, so that the check is fast. It scores the known rules
    and every operator of the language on a few instances, about a dozen times each. Raises ConformanceError at the
    first promise that is broken.
    """
    check_declarations(family_class)
    check_known_rules(family_class)
    bound, again = family_class(parameters), family_class(parameters)
    require(
        bound.parameters_digest == again.parameters_digest,
        "equal parameters have equal digests",
        "two objects with the same parameters have different ones",
    )
    check_keys(bound)
    instances = check_build(bound, again)
    rules = trial_rules(family_class)
    check_bounds(family_class, parameters, rules[0])
    alone = check_evaluate(bound, again, rules, instances)
    check_threads(bound, rules, instances, alone)
    check_evaluate_many(bound, rules, instances, alone)
    check_give_up_below(bound, rules, instances)
    check_aggregate(bound, rules, alone)
    check_trace_and_draw(bound, rules, instances)
