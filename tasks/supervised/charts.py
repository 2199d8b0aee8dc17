"""What is shown of a supervised rule, in numbers: does the student follow the teacher, and with which weights?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ruleforge.charts import Axis, Chart, Series, level
from ruleforge.family import Trace

WINDOW = 200.0  # ms of the potentials that are shown at the start and at the end
BINS = 100  # of the error over an experiment
LARGEST_ERROR = 1e150  # mV; its square is still finite
TIME = Axis("time", "s")


def charts(traces: Sequence[Trace]) -> Mapping[str, Chart]:
    """Potentials early and late and weights of the first trace, the error over all traces."""
    first = traces[0]
    time = first["time"].values
    window = min(WINDOW, time[-1] / 2)
    return {
        "potential_start": potentials(first, time <= window, "At the start"),
        "potential_end": potentials(first, time > time[-1] - window, "At the end"),
        "error": error(traces),
        "weights": weights(first),
    }


def potentials(trace: Trace, chosen: Any, title: str) -> Chart:
    """Teacher and student at the chosen times, (n_times,) bool."""
    time = trace["time"].values[chosen] * 1e-3
    series = tuple(Series(name, time, trace[name].values[chosen]) for name in ("teacher", "student"))
    return Chart(title, TIME, Axis("membrane potential", "mV"), series)


def error(traces: Sequence[Trace]) -> Chart:
    """Root-mean-square error in bins of time: median over experiments, in the band of all; none if all overflow."""
    n_bins = min(BINS, len(traces[0]["time"].values))
    finite = [trace for trace in traces if np.all(np.abs(trace["error"].values) < LARGEST_ERROR)]
    series: tuple[Series, ...] = ()
    if finite:
        squares = [[part.mean() for part in np.array_split(trace["error"].values ** 2, n_bins)] for trace in finite]
        found = np.sqrt(np.array(squares))
        time = np.array([part.mean() for part in np.array_split(traces[0]["time"].values * 1e-3, n_bins)])
        low, high = (found.min(axis=0), found.max(axis=0)) if len(finite) > 1 else (None, None)
        series = (Series(f"median of {len(finite)} experiments", time, np.median(found, axis=0), low=low, high=high),)
    return Chart("Error of the potential", TIME, Axis("r.m.s. error", "mV"), series)


def weights(trace: Trace) -> Chart:
    """The student's weights, and the teacher's as levels: first all of the one, then all of the other."""
    time = trace["time"].values * 1e-3
    student = [Series(f"input {i}, student", time, column) for i, column in enumerate(trace["weights"].values.T)]
    teacher = [level(f"input {i}, teacher", time, value) for i, value in enumerate(trace["teacher_weights"].values)]
    return Chart("Weights", TIME, Axis("weight", "pA"), (*student, *teacher))
