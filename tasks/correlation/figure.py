"""The picture of a rule of the `correlation` family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ruleforge.family import Trace
from ruleforge.language.rule import Rule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PATTERN, BACKGROUND, EARLY = "#c2410c", "#1d4ed8", "#9ca3af"
SIZE = (12.0, 6.6)  # inches: two rows of panels


def _weights(axes: Any, trace: Trace) -> None:
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
    taking = trace["takes_part"].values > 0
    for label, chosen, colour in (("in the pattern", taking, PATTERN), ("not in the pattern", ~taking, BACKGROUND)):
        if chosen.any():
            axes.plot(time, weight[:, chosen].mean(axis=1), color=colour, lw=1.6, label=f"mean of inputs {label}")
    axes.set(xlabel="time (s)", ylabel="weight", ylim=(0, edges[-1]), title="Weights of all inputs")
    axes.legend(loc="upper right", fontsize=7, framealpha=0.9)


def _potentials(axes: Any, trace: Trace) -> None:
    time = trace["pattern_time"].values
    axes.axvspan(0, float(trace["pattern_duration"].values[0]), color=PATTERN, alpha=0.08, lw=0)
    axes.axhline(float(trace["threshold"].values[0]), color="k", lw=0.8, ls=":")
    axes.plot(time, trace["potential_early"].values, color=EARLY, lw=1.0, label="early")
    axes.plot(time, trace["potential_late"].values, color=BACKGROUND, lw=1.2, label="late")
    axes.set(
        xlabel="time from the start of the pattern (ms)",
        ylabel="potential (mV)",
        title="Membrane potential around the pattern",
    )
    axes.margins(x=0)
    axes.legend(loc="upper right", fontsize=7, framealpha=0.9)


def _window(axes: Any, trace: Trace) -> None:
    from matplotlib import colormaps

    interval, changes = trace["stdp_interval"].values, trace["stdp_change"].values
    axes.axhline(0, color="k", lw=0.6)
    axes.axvline(0, color="k", lw=0.6)
    for weight, change, shade in zip(trace["stdp_weight"].values, changes, (0.1, 0.45, 0.8), strict=True):
        # A gap at 0: the two sides are different branches of the rule.
        shown = np.where(np.isfinite(change), change, np.nan)
        colour = colormaps["viridis"](shade)
        for side in (interval < 0, interval > 0):
            label = f"w = {weight:g}" if interval[side][0] < 0 else None
            axes.plot(interval[side], shown[side], color=colour, lw=1.4, label=label)
    axes.set(xlabel="Δt = output − input (ms)", ylabel="Δw of one pair", title="STDP window")
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
        xlabel="time from the start of the pattern (ms)",
        ylabel="inputs by final weight",
        title="The pattern, inputs ordered by final weight",
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
    _weights(axes[0, 0], trace)
    _potentials(axes[0, 1], trace)
    _window(axes[1, 0], trace)
    _raster(axes[1, 1], figure, trace)
    for each in axes.flat:
        each.title.set_fontsize(10)
        each.spines[["top", "right"]].set_visible(False)
    formulas = [rf"$\mathrm{{{slot.name}}}:\ {line}$" for slot, line in zip(rule.slots, _formulas(rule), strict=True)]
    figure.suptitle("        ".join(formulas), fontsize=12)


def _formulas(rule: Rule) -> list[str]:
    from ruleforge.language.text import format_latex

    return [
        format_latex(expression, {signal.symbol: signal.latex or signal.symbol for signal in slot.signals})
        for slot, expression in zip(rule.slots, rule.expressions, strict=True)
    ]
