"""Traces and drawings: recorded with units, and drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ruleforge.charts import Chart
from ruleforge.conformance.promises import called, digest, is_text, require
from ruleforge.family import Quantity, TaskFamily
from ruleforge.language.rule import Rule


def check_trace_and_draw(bound: TaskFamily, rules: Sequence[Rule], instances: Sequence[Any]) -> None:
    """Traces hold arrays with units, repeat to the bit, make the family's charts, and are drawn if it draws."""
    for rule in (rules[0], rules[-1]):  # the last one is not finite
        traces = []
        for instance in instances:
            trace = called("trace records any rule", f"for {rule.text!r}", bound.trace, rule, instance)
            require(isinstance(trace, Mapping) and bool(trace), "a trace holds quantities by name", f"{trace!r} came")
            traces.append(trace)
        for name, quantity in traces[0].items():
            whole = isinstance(quantity, Quantity) and isinstance(quantity.values, np.ndarray)
            described = whole and is_text(quantity.unit) and is_text(quantity.meaning)
            require(described, f"{name!r} of a trace is a Quantity: array, unit, meaning", f"{quantity!r:.100} came")
        repeated = digest(dict(bound.trace(rule, instances[0]))) == digest(dict(traces[0]))
        require(repeated, "a trace is the same every time", f"a second trace of {rule.text!r} differs")
        _check_charts(bound, rule, traces)
        if type(bound).draw is not TaskFamily.draw:
            _check_drawing(bound, rule, traces)


def _check_charts(bound: TaskFamily, rule: Rule, traces: Sequence[Any]) -> None:
    promise = "charts gives the charts of chart_kinds, in their order"
    charts = called(promise, f"for {rule.text!r}", bound.charts, rule, traces)
    kinds = type(bound).chart_kinds
    require(isinstance(charts, Mapping) and tuple(charts) == kinds, promise, f"{list(charts)} came for {list(kinds)}")
    for kind, chart in charts.items():
        require(isinstance(chart, Chart), "a chart is a Chart", f"{kind!r} is {chart!r:.100}")
        for series in chart.series:
            columns = [series.x, series.y, *(edge for edge in (series.low, series.high) if edge is not None)]
            alike = len({np.shape(column) for column in columns}) == 1 and np.ndim(series.x) == 1
            require(
                alike, "x, y and the band of a series are arrays of one length", f"{series.name!r} of {kind!r} came"
            )


def _check_drawing(bound: TaskFamily, rule: Rule, traces: Sequence[Any]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure()
    canvas = FigureCanvasAgg(figure)
    called("draw draws the traces of any rule", f"for {rule.text!r}", bound.draw, rule, traces, figure)
    require(bool(figure.axes), "draw fills the figure that it is given", "the figure is empty")
    called("what draw has drawn can be rendered", f"for {rule.text!r}", canvas.draw)
