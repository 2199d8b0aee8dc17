"""A picture of a supervised rule: does the student come to follow the teacher, and with which weights?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ruleforge.family import Trace
from ruleforge.language.rule import Rule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEACHER, STUDENT, SPREAD = "#4d4d4d", "#0072b2", "#9ecae1"
INPUTS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
WINDOW = 200.0  # ms of the potentials that are shown at the start and at the end
BINS = 100  # of the error over an experiment
LARGEST_ERROR = 1e150  # mV; its square is still finite
LARGEST_FORMULA = 25  # nodes of a rule that is written above the picture
SIZE = (12.0, 6.6)  # inches: two rows of panels


def draw(rule: Rule, traces: Sequence[Trace], figure: Figure) -> None:
    """Draw potentials early and late, and weights, of the first trace, and the error over all traces."""
    figure.set_size_inches(SIZE)
    figure.set_layout_engine("constrained")
    grid = figure.subplots(2, 2)
    first = traces[0]
    time = first["time"].values
    window = min(WINDOW, time[-1] / 2)
    early, late = time <= window, time > time[-1] - window
    limits = _limits(first["student"].values[early | late], first["teacher"].values[early | late])
    for axes, chosen, title in ((grid[0, 0], early, "At the start"), (grid[0, 1], late, "At the end")):
        axes.set_ylim(limits)
        axes.locator_params(axis="x", nbins=5)
        _potentials(axes, first, chosen, title)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    grid[0, 1].legend(handles, labels, frameon=False, fontsize="small", loc="best", ncols=2)
    _error(grid[1, 0], traces)
    _weights(grid[1, 1], first)
    for axes in grid.flat:
        axes.spines[["top", "right"]].set_visible(False)
    if rule.complexity <= LARGEST_FORMULA:
        figure.suptitle(f"${rule.latex}$")


def _limits(student: NDArray[np.float64], teacher: NDArray[np.float64]) -> tuple[float, float]:
    """Limits that hold both, unless the student has run far away from the teacher."""
    span = max(float(np.ptp(teacher)), 1.0)
    finite = student[np.isfinite(student)]
    low = max(min(finite.min(initial=np.inf), teacher.min()), teacher.min() - 4 * span)
    high = min(max(finite.max(initial=-np.inf), teacher.max()), teacher.max() + 4 * span)
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _inside(values: NDArray[np.float64], axes: Any) -> NDArray[np.float64]:
    """The values within the limits of the axes; steep lines to far away places say nothing."""
    low, high = axes.get_ylim()
    return np.where((values >= low) & (values <= high), values, np.nan)


def _potentials(axes: Any, trace: Trace, chosen: Any, title: str) -> None:
    time = trace["time"].values[chosen] * 1e-3
    axes.plot(time, trace["teacher"].values[chosen], color=TEACHER, linewidth=1.8, label="teacher")
    axes.plot(time, _inside(trace["student"].values[chosen], axes), color=STUDENT, linewidth=1.0, label="student")
    axes.set(title=title, xlabel="time (s)", ylabel="membrane potential (mV)")
    axes.margins(x=0)


def _error(axes: Any, traces: Sequence[Trace]) -> None:
    """Root-mean-square error in bins of time: median over experiments, and the band of all."""
    n_bins = min(BINS, len(traces[0]["time"].values))
    finite = [trace for trace in traces if np.all(np.abs(trace["error"].values) < LARGEST_ERROR)]
    axes.set(title="Error of the potential", xlabel="time (s)", ylabel="r.m.s. error (mV)")
    axes.set_xlim(0, traces[0]["time"].values[-1] * 1e-3)
    if not finite:
        axes.text(0.5, 0.5, "the rule left the finite numbers", transform=axes.transAxes, ha="center", va="center")
        axes.set_yticks([])
        return
    squares = [[part.mean() for part in np.array_split(trace["error"].values ** 2, n_bins)] for trace in finite]
    error = np.sqrt(np.array(squares))
    time = np.array([part.mean() for part in np.array_split(traces[0]["time"].values * 1e-3, n_bins)])
    if len(finite) > 1:
        axes.fill_between(time, error.min(axis=0), error.max(axis=0), color=SPREAD, linewidth=0, label="range")
    axes.plot(time, np.median(error, axis=0), color=STUDENT, linewidth=1.2, label="median")
    if np.all(error > 0):
        axes.set_yscale("log")
    if len(finite) > 1:
        axes.legend(frameon=False, fontsize="small", title=f"{len(finite)} experiments", title_fontsize="small")


def _weights(axes: Any, trace: Trace) -> None:
    time = trace["time"].values * 1e-3
    axes.set_ylim(_limits(trace["weights"].values, trace["teacher_weights"].values))
    for index, (values, target) in enumerate(
        zip(trace["weights"].values.T, trace["teacher_weights"].values, strict=True)
    ):
        color = INPUTS[index % len(INPUTS)]
        axes.plot(time, _inside(values, axes), color=color, linewidth=1.2)
        axes.axhline(target, color=color, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.plot([], [], color=TEACHER, label="student")
    axes.plot([], [], color=TEACHER, linestyle=(0, (4, 3)), label="teacher")
    axes.set(title="Weights", xlabel="time (s)", ylabel="weight (pA)", xlim=(0, time[-1]))
    axes.legend(frameon=False, fontsize="small", ncols=2)
