"""The picture of a rule of the `correlation` family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ruleforge.charts import Chart
from ruleforge.family import Trace
from ruleforge.language.rule import Rule
from tasks.correlation.charts import GROUPS, charts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PATTERN, BACKGROUND, EARLY = "#c2410c", "#1d4ed8", "#9ca3af"
SIZE = (12.0, 6.6)  # inches: two rows of panels


def _weights(axes: Any, chart: Chart, trace: Trace) -> None:
    time, weight = trace["time"].values, trace["weight"].values
    # Depression knows no upper bound: a few weights that shoot far beyond 1 must not flatten all others.
    edges = np.linspace(0.0, max(1.05, float(np.quantile(weight, 0.999))), 64)
    density = np.array([np.histogram(row, bins=edges)[0] for row in weight]).T
    axes.imshow(
        np.log1p(density),
        origin="lower",
        aspect="auto",
        extent=(0, time[-1], edges[0], edges[-1]),
        cmap="Greys",
        interpolation="nearest",
    )
    for line in chart.series:
        axes.plot(line.x, line.y, color=PATTERN if line.name == GROUPS[0] else BACKGROUND, lw=1.6, label=line.name)
    axes.set_ylim(0, edges[-1])
    axes.legend(loc="upper right", fontsize=7, framealpha=0.9)


def _potentials(axes: Any, chart: Chart, pattern_duration: float) -> None:
    early, late, threshold = chart.series
    axes.axvspan(0, pattern_duration, color=PATTERN, alpha=0.08, lw=0)
    axes.axhline(threshold.y[0], color="k", lw=0.8, ls=":")
    axes.plot(early.x, early.y, color=EARLY, lw=1.0, label=early.name)
    axes.plot(late.x, late.y, color=BACKGROUND, lw=1.2, label=late.name)
    axes.margins(x=0)
    axes.legend(loc="upper right", fontsize=7, framealpha=0.9)


def _window(axes: Any, chart: Chart) -> None:
    from matplotlib import colormaps

    axes.axhline(0, color="k", lw=0.6)
    axes.axvline(0, color="k", lw=0.6)
    for line, shade in zip(chart.series, (0.1, 0.45, 0.8), strict=True):
        axes.plot(line.x, line.y, color=colormaps["viridis"](shade), lw=1.4, label=line.name)
    axes.margins(x=0)
    axes.ticklabel_format(axis="y", scilimits=(-2, 3))
    axes.legend(fontsize=7, framealpha=0.9)


def _raster(axes: Any, figure: Figure, trace: Trace) -> None:
    spikes = axes.scatter(
        trace["raster_time"].values,
        trace["raster_rank"].values,
        c=trace["raster_weight"].values,
        s=5,
        cmap="viridis",
        vmin=0,
        linewidths=0,
    )
    axes.set(
        xlim=(0, float(trace["pattern_duration"].values[0])),
        ylim=(-0.01 * trace["weight"].values.shape[1], 1.01 * trace["weight"].values.shape[1]),
    )
    figure.colorbar(spikes, ax=axes, label="final weight", pad=0.02)


def draw(rule: Rule, traces: Sequence[Trace], figure: Figure) -> None:
    """Weights, potentials, STDP window and raster of the first trace."""
    trace = traces[0]
    figure.set_size_inches(SIZE)
    figure.set_layout_engine("constrained")
    axes = figure.subplots(2, 2)
    shown = charts(trace)
    _weights(axes[0, 0], shown["weights"], trace)
    _potentials(axes[0, 1], shown["potential"], float(trace["pattern_duration"].values[0]))
    _window(axes[1, 0], shown["stdp_window"])
    _raster(axes[1, 1], figure, trace)
    for each, kind in zip(axes.flat, ("weights", "potential", "stdp_window", "raster"), strict=True):
        chart = shown[kind]
        title = "Weights of all inputs" if kind == "weights" else chart.title
        each.set(title=title, xlabel=chart.x.label, ylabel=chart.y.label)
        each.title.set_fontsize(10)
        each.spines[["top", "right"]].set_visible(False)
    formulas = [rf"$\mathrm{{{slot.name}}}:\ {line}$" for slot, line in zip(rule.slots, _formulas(rule), strict=True)]
    figure.suptitle("        ".join(formulas), fontsize=12)


def _formulas(rule: Rule) -> list[str]:
    from ruleforge.language.text import format_latex

    return [
        format_latex(expression, {signal.symbol: signal.latex for signal in slot.signals})
        for slot, expression in zip(rule.slots, rule.expressions, strict=True)
    ]
