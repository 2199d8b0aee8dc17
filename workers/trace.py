"""What a rule does, as arrays for charts: the charts that its family declares, small enough to send."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleforge.charts import Series
from ruleforge.checked import whole_number
from ruleforge.family import TaskFamily
from ruleforge.language.rule import Rule
from workers.charts import EXPERIMENTS, charts_of, validation_traces
from workers.pictures import figure_kinds, figure_svg

__all__ = ["figure_kinds", "figure_svg", "trace_of"]

POINTS = 400  # of a series
LARGEST_POINTS = 10_000
DIGITS = 7  # of a number: more than any screen resolves


def trace_of(family: TaskFamily, rule: Rule, *, n: int = EXPERIMENTS, points: int = POINTS) -> dict[str, Any]:
    """What a rule does on the first n validation instances, JSON-ready; the same for the same arguments.

    {"task", "parameters", "rule", "id", "instances": [keys], "charts": [{"kind", "title", "x": {"name", "unit"},
    "y": {"name", "unit"}, "series": [{"name", "style", "x", "y", "low", "high"}]}]}. x and y of a series, and low and
    high where it has a band, are lists of one length, at most `points`; what is not finite is None. style: "line" or
    "points".
    Raises InputError for numbers out of range, and where the family has no trace of this rule.
    """
    points = whole_number("points", points, 4, LARGEST_POINTS, pointer="/points")
    keys, traces = validation_traces(family, rule, n)
    return {
        "task": family.name,
        "parameters": family.parameters.model_dump(mode="json"),
        "rule": rule.text,
        "id": rule.id,
        "instances": [str(key) for key in keys],
        "charts": [
            {
                "kind": kind,
                "title": chart.title,
                "x": {"name": chart.x.name, "unit": chart.x.unit},
                "y": {"name": chart.y.name, "unit": chart.y.unit},
                "series": [_series(series, points) for series in chart.series],
            }
            for kind, chart in charts_of(family, rule, traces).items()
        ],
    }


def _series(series: Series, points: int) -> dict[str, Any]:
    chosen = kept(series.y, points) if series.style == "line" else _evenly(len(series.y), points)
    return {
        "name": series.name,
        "style": series.style,
        "x": numbers(series.x[chosen]),
        "y": numbers(series.y[chosen]),
        "low": None if series.low is None else numbers(series.low[chosen]),
        "high": None if series.high is None else numbers(series.high[chosen]),
    }


def kept(values: NDArray[np.float64], points: int) -> NDArray[np.int64]:
    """Indices of at most `points` values that look like all of them: first, last, and per bin the lowest and highest.

    A bin that holds a gap (NaN) keeps its first, so that the gap stays a gap.
    """
    n = len(values)
    if n <= points:
        return np.arange(n)
    chosen = {0, n - 1}
    for part in np.array_split(np.arange(1, n - 1), (points - 2) // 2):
        inside = values[part]
        gaps = np.flatnonzero(~np.isfinite(inside))
        if len(gaps) == len(part):
            chosen.add(int(part[0]))
        elif len(gaps):
            chosen.update((int(part[gaps[0]]), int(part[np.nanargmax(np.where(np.isfinite(inside), inside, np.nan))])))
        else:
            chosen.update((int(part[inside.argmin()]), int(part[inside.argmax()])))
    return np.array(sorted(chosen))


def _evenly(n: int, points: int) -> NDArray[np.int64]:
    return np.arange(n) if n <= points else np.linspace(0, n - 1, points).round().astype(np.int64)


def numbers(values: Iterable[float]) -> list[float | None]:
    """Numbers for JSON: seven significant digits, None for what is not finite."""
    return [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in map(float, values)]
