"""Figures of a rule as tables and sentences show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ruleforge.language.identity import DISTANCE


def number(value: float | None, digits: int = 1) -> str:
    """A number for a table; – if there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def digits_for(values: Sequence[float | None]) -> int:
    """Decimals that show a fitness of this size with about four digits."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    return 1 if largest >= 100 else 2 if largest >= 10 else 3


def unseen(value: Mapping[str, Any] | None, digits: int) -> str:
    """The family's statistic on unseen instances: a mean ± standard error (n), else with its 95 % interval."""
    if not value:
        return "–"
    aggregate, mean, error, n = (value.get(name) for name in ("aggregate", "mean", "standard_error", "n"))
    if aggregate is None:
        return f"not finite (n={n})"
    if value.get("statistic", "mean") == "mean" and aggregate == mean:
        spread = "" if error is None else f" ± {number(error, digits)}"
    else:
        interval = value.get("interval")
        spread = "" if interval is None else " [{}, {}]".format(*(number(end, digits) for end in interval))
    return f"{number(aggregate, digits)}{spread} (n={n})"


def meaning_of(value: Mapping[str, Any] | None) -> str:
    """What the number that `unseen` writes is, and its spread: for the head of a table or the name of a row."""
    name = (value or {}).get("statistic") or "mean"
    return "mean ± s.e." if name == "mean" else f"{name.replace('_', ' ')} [95 % interval]"


def mean_of(value: Mapping[str, Any] | None, digits: int) -> str:
    """Mean ± standard error, which stands beside a statistic that is not the mean."""
    if not value or value["mean"] is None:
        return "–"
    error = value["standard_error"]
    return number(value["mean"], digits) + ("" if error is None else f" ± {number(error, digits)}")


def described(value: Mapping[str, Any] | None, digits: int) -> str:
    """`unseen`, what it is and, where it is no mean, mean and failures beside it."""
    said = unseen(value, digits)
    if not value or value["aggregate"] is None:
        return said
    if (meaning := meaning_of(value)) == "mean ± s.e.":
        return f"{said}, {meaning}" if value["n"] > 1 else said
    failures = value.get("failures")
    failed = "" if failures is None else f"; failures {failures}"
    return f"{said}, {meaning}; mean {mean_of(value, digits)}{failed}"


def known(item: Mapping[str, Any]) -> str:
    """The name of a known rule, with the factor if it is not 1."""
    name, factor = item.get("known_as"), item.get("known_factor")
    return "" if name is None else name if factor in (None, 1.0) else f"{factor:.4g} × {name}"


def nearest(found: Mapping[str, Any] | None) -> str:
    """What a rule without a name resembles, if anything: of `nearest_known`."""
    return "" if found is None else f"nearest: {found['name']}, distance {found['distance']:.2g}, where {DISTANCE}"
