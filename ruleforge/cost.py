"""What scoring costs, foreseen from parameters alone, and the limits that whoever runs it sets.

A compiled simulation cannot be stopped inside, and memory that is not there ends the process: so both are foreseen when
something is submitted. The limits are those of the process that takes it, and again of the one that runs it.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from ruleforge.errors import InputError, SpecificationError
from ruleforge.parameters import FamilyParameters

# Of one rule on one instance, and of what one call holds; each may be set in the environment.
LIMIT_SECONDS, DEFAULT_SECONDS = "RULEFORGE_LIMIT_SECONDS", 60.0
LIMIT_GIGABYTES, DEFAULT_GIGABYTES = "RULEFORGE_LIMIT_GIGABYTES", 2.0
# What one rule's score on one instance takes until its generation is recorded.
SCORE_BYTES = 500


@dataclass(frozen=True)
class Cost:
    """What a family foresees, at the most, on one core.

    seconds: from the beginning to the end of one rule on one instance, which is the shortest time that cannot be cut;
    build_seconds: to build the instance; instance_bytes: the most that building or keeping it takes; rule_bytes:
    working memory of every rule of a call; trace_bytes: what a recording of one rule takes; seconds_by, bytes_by: the
    parameters that time and memory grow with.
    """

    seconds: float
    build_seconds: float
    instance_bytes: float
    rule_bytes: float
    trace_bytes: float
    seconds_by: tuple[str, ...]
    bytes_by: tuple[str, ...]


def limit_of(name: str, default: float) -> float:
    """A limit from the environment. Raises InputError for what is no positive number."""
    text = os.environ.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = math.nan
    if not value > 0:
        raise InputError(f"{name}: expected a positive number, and {text!r} came: correct it or leave it out")
    return value


def check_cost(cost: Cost | None, parameters: FamilyParameters, *, traced: bool = False) -> None:
    """Raise SpecificationError, with the estimate, if the cost is above a limit of this process.

    traced: whether rules are to be recorded, and not only scored.
    """
    if cost is None:
        return
    seconds, most = cost.seconds + cost.build_seconds, limit_of(LIMIT_SECONDS, DEFAULT_SECONDS)
    if not seconds <= most:
        what = f"one rule on one instance is expected to take about {_rounded(seconds)} s"
        raise _refusal(what, f"{most:g} s", LIMIT_SECONDS, cost.seconds_by, parameters)
    size = cost.instance_bytes + (cost.trace_bytes if traced else cost.rule_bytes)
    gigabytes, room = size * 1e-9, limit_of(LIMIT_GIGABYTES, DEFAULT_GIGABYTES)
    if not gigabytes <= room:
        what = f"one rule on one instance is expected to take about {_rounded(gigabytes)} GB of memory"
        raise _refusal(what, f"{room:g} GB", LIMIT_GIGABYTES, cost.bytes_by, parameters)


def check_generation(n_rules: int, n_instances: int | None) -> None:
    """Raise SpecificationError if the scores of one generation alone would fill the memory."""
    gigabytes, room = n_rules * (n_instances or 1) * SCORE_BYTES * 1e-9, limit_of(LIMIT_GIGABYTES, DEFAULT_GIGABYTES)
    if gigabytes > room:
        sentence = (
            f"{n_rules:,} rules of a generation (search.population, offspring, islands) on {n_instances:,} instances "
            f"(instances.training) are expected to take about {_rounded(gigabytes)} GB of memory for their scores, and "
            f"the limit is {room:g} GB: lower them, or raise {LIMIT_GIGABYTES} where it is taken and run"
        )
        raise SpecificationError([("/search/offspring", sentence)])


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _refusal(
    what: str, limit: str, setting: str, names: tuple[str, ...], parameters: FamilyParameters
) -> SpecificationError:
    fields = type(parameters).model_fields
    changed = [name for name in names if getattr(parameters, name) != fields[name].default] or list(names)
    given = ", ".join(f"{name} = {getattr(parameters, name):g}" for name in names)
    sentence = f"{what} ({given}), and the limit is {limit}: change them, or raise {setting} where it is taken and run"
    return SpecificationError([(f"/parameters/{changed[0]}", sentence)])
