"""A picture of a supervised rule: does the student come to follow the teacher, and with which weights?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ruleforge.charts import Chart
from ruleforge.family import Trace
from ruleforge.language.rule import Rule
from tasks.supervised.charts import charts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEACHER, STUDENT, SPREAD = "#4d4d4d", "#0072b2", "#9ecae1"
INPUTS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
LARGEST_FORMULA = 25  # nodes of a rule that is written above the picture
SIZE = (12.0, 6.6)  # inches: two rows of panels


def draw(rule: Rule, traces: Sequence[Trace], figure: Figure) -> None:
    """Draw potentials early and late, and weights, of the first trace, and the error over all traces."""
    figure.set_size_inches(SIZE)
    figure.set_layout_engine("constrained")
    grid = figure.subplots(2, 2)
    shown = charts(traces)
    start, end = shown["potential_start"], shown["potential_end"]
    teacher, student = (np.concatenate([chart.series[i].y for chart in (start, end)]) for i in (0, 1))
    limits = _limits(student, teacher)
    for axes, chart in ((grid[0, 0], start), (grid[0, 1], end)):
        axes.set_ylim(limits)
        axes.locator_params(axis="x", nbins=5)
        _potentials(axes, chart)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    grid[0, 1].legend(handles, labels, frameon=False, fontsize="small", loc="best", ncols=2)
    _error(grid[1, 0], shown["error"])
    _weights(grid[1, 1], shown["weights"], traces[0])
    for axes, chart in zip(grid.flat, shown.values(), strict=True):
        axes.set(title=chart.title, xlabel=chart.x.label, ylabel=chart.y.label)
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


def _potentials(axes: Any, chart: Chart) -> None:
    teacher, student = chart.series
    axes.plot(teacher.x, teacher.y, color=TEACHER, linewidth=1.8, label=teacher.name)
    axes.plot(student.x, _inside(student.y, axes), color=STUDENT, linewidth=1.0, label=student.name)
    axes.margins(x=0)


def _error(axes: Any, chart: Chart) -> None:
    if not chart.series:
        axes.text(0.5, 0.5, "the rule left the finite numbers", transform=axes.transAxes, ha="center", va="center")
        axes.set_yticks([])
        return
    (error,) = chart.series
    if error.low is not None and error.high is not None:
        axes.fill_between(error.x, error.low, error.high, color=SPREAD, linewidth=0, label="range")
    axes.plot(error.x, error.y, color=STUDENT, linewidth=1.2, label=error.name)
    axes.set_xlim(0, error.x[-1])
    if np.all((error.y if error.low is None else error.low) > 0):
        axes.set_yscale("log")
    if error.low is not None:
        axes.legend(frameon=False, fontsize="small")


def _weights(axes: Any, chart: Chart, trace: Trace) -> None:
    axes.set_ylim(_limits(trace["weights"].values, trace["teacher_weights"].values))
    n_inputs = len(chart.series) // 2
    for index, (student, teacher) in enumerate(zip(chart.series[:n_inputs], chart.series[n_inputs:], strict=True)):
        color = INPUTS[index % len(INPUTS)]
        axes.plot(student.x, _inside(student.y, axes), color=color, linewidth=1.2)
        axes.axhline(teacher.y[0], color=color, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.plot([], [], color=TEACHER, label="student")
    axes.plot([], [], color=TEACHER, linestyle=(0, (4, 3)), label="teacher")
    axes.set_xlim(0, chart.series[0].x[-1])
    axes.legend(frameon=False, fontsize="small", ncols=2)
