"""The picture of a reward rule: how it learns, what it does to a weight, what becomes of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ruleforge.charts import Chart
from ruleforge.family import Trace
from ruleforge.language.rule import Rule
from tasks.reward.charts import charts
from tasks.reward.parameters import RewardParameters

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REWARDED, PUNISHED, NEUTRAL = "#1b7f79", "#c8553d", "#5b6770"


def draw(parameters: RewardParameters, rule: Rule, traces: Sequence[Trace], figure: Figure) -> None:
    """Three panels under the formula. traces: one per experiment, the first one's weights are shown."""
    figure.suptitle(f"${rule.latex}$", fontsize=16)
    left, middle, right = figure.subplots(1, 3, gridspec_kw={"width_ratios": (1.3, 1, 1)})
    shown = charts(parameters, rule, traces)
    _learning_curve(left, shown["learning_curve"])
    _weight_change(middle, shown["weight_change"])
    for line in shown["weights"].series:
        right.plot(line.x, line.y, color=NEUTRAL, linewidth=0.6, alpha=0.7)
    for axes, chart in zip((left, middle, right), shown.values(), strict=True):
        axes.set(title=chart.title, xlabel=chart.x.label, ylabel=chart.y.label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_size(11)
    figure.set_layout_engine("constrained")


def _learning_curve(axes: Axes, chart: Chart) -> None:
    curve, chance = chart.series
    axes.axhline(chance.y[0], color=NEUTRAL, linewidth=0.8, linestyle=":")
    axes.text(curve.x[-1], chance.y[0] + 0.005, chance.name, ha="right", va="bottom", color=NEUTRAL, fontsize=8)
    assert curve.low is not None
    assert curve.high is not None
    axes.fill_between(curve.x, curve.low, curve.high, color=REWARDED, alpha=0.2, linewidth=0)
    axes.plot(curve.x, curve.y, color=REWARDED)
    axes.set_ylim(0, 1)


def _weight_change(axes: Axes, chart: Chart) -> None:
    for line, colour in zip(chart.series, (REWARDED, PUNISHED), strict=True):
        axes.plot(line.x, line.y, color=colour, label=line.name)
    axes.axhline(0, color=NEUTRAL, linewidth=0.6)
    axes.axvline(0, color=NEUTRAL, linewidth=0.6)
    axes.legend(frameon=False)
