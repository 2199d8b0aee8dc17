"""What is shown of a correlation rule, in numbers: weights, output, potential around the pattern, STDP window."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ruleforge.charts import Axis, Chart, Series, level
from ruleforge.family import Trace

IN_PATTERN = Axis("time from the start of the pattern", "ms")
TIME = Axis("time", "s")
GROUPS = ("mean of inputs in the pattern", "mean of inputs not in the pattern")


def charts(trace: Trace) -> Mapping[str, Chart]:
    """The charts of one simulation."""
    return {
        "weights": weights(trace),
        "output_rate": output_rate(trace),
        "potential": potential(trace),
        "stdp_window": stdp_window(trace),
        "raster": raster(trace),
    }


def weights(trace: Trace) -> Chart:
    """Mean weight of the inputs in and not in the pattern, with the band from the lower to the upper quartile."""
    time, weight, taking = trace["time"].values, trace["weight"].values, trace["takes_part"].values > 0
    series = []
    for name, chosen in zip(GROUPS, (taking, ~taking), strict=True):
        if chosen.any():
            low, high = np.quantile(weight[:, chosen], (0.25, 0.75), axis=1)
            series.append(Series(name, time, weight[:, chosen].mean(axis=1), low=low, high=high))
    return Chart("Weights (mean and quartiles)", TIME, Axis("weight", "1"), tuple(series))


def output_rate(trace: Trace) -> Chart:
    """How often the neuron fires while it learns."""
    series = Series("output", trace["time"].values, trace["output_rate"].values)
    return Chart("Output rate", TIME, Axis("rate", "Hz"), (series,))


def potential(trace: Trace) -> Chart:
    """The potential around an early and a late pattern, and the threshold."""
    time = trace["pattern_time"].values
    early, late = (Series(name, time, trace[f"potential_{name}"].values) for name in ("early", "late"))
    threshold = level("threshold", time, float(trace["threshold"].values[0]))
    return Chart("Membrane potential around the pattern", IN_PATTERN, Axis("potential", "mV"), (early, late, threshold))


def stdp_window(trace: Trace) -> Chart:
    """Δw of one pair of spikes against their interval, a line per weight; the gap at 0 parts two branches."""
    interval = trace["stdp_interval"].values
    before, after = interval < 0, interval > 0
    x = np.concatenate([interval[before], [0.0], interval[after]])
    series = []
    for weight, change in zip(trace["stdp_weight"].values, trace["stdp_change"].values, strict=True):
        shown = np.where(np.isfinite(change), change, np.nan)
        series.append(Series(f"w = {weight:g}", x, np.concatenate([shown[before], [np.nan], shown[after]])))
    return Chart("STDP window", Axis("Δt = output − input", "ms"), Axis("Δw of one pair", "1"), tuple(series))


def raster(trace: Trace) -> Chart:
    """The input spikes of one pattern, inputs ordered by final weight."""
    spikes = Series("input spikes", trace["raster_time"].values, trace["raster_rank"].values, style="points")
    title = "The pattern, inputs ordered by final weight"
    return Chart(title, IN_PATTERN, Axis("inputs by final weight", "1"), (spikes,))
