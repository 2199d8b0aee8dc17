"""Pictures of rules: the family traces and draws, this sees to instances, kinds and files (of other pictures too)."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruleforge.charts import Chart
from ruleforge.errors import InputError, unknown_name
from ruleforge.family import TaskFamily
from ruleforge.language.rule import Rule
from workers.charts import EXPERIMENTS, charts_of, validation_traces
from workers.own_matplotlib import own_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
# The picture that the family draws itself, all panels in one.
OVERVIEW = "overview"
SIZE = (13.0, 4.2)  # inches
SIZE_OF_CHART = (6.4, 4.2)
MANY_SERIES = 8  # from which a chart's legend would hide it


def figure_kinds(family: type[TaskFamily]) -> tuple[str, ...]:
    """The pictures that there are of a family's rules: the overview, if it draws one, and each of its charts."""
    draws = family.draw is not TaskFamily.draw
    return (*((OVERVIEW,) if draws else ()), *family.chart_kinds)


def draw_rule(family: TaskFamily, rule: Rule, path: Path, *, n: int = EXPERIMENTS, kind: str | None = None) -> None:
    """Draw a rule's behaviour on the first n validation instances into a file (png, svg or pdf by its ending)."""
    write_picture(path, lambda format: _rule_picture(family, rule, kind, format, n))


def write_picture(path: Path, picture: Callable[[str], bytes]) -> None:
    """Write what `picture` gives for the format that the file's name ends in; nothing is left where that fails.

    Raises InputError for another format, and where the file cannot be written.
    """
    written = picture(picture_format(path))
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(written)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"--figure: {path} cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):  # a name too long to be there, or a folder that is no longer there
            partial.unlink()


def picture_format(path: Path) -> str:
    """The format that a file's name asks for. Raises InputError for another, and where there is no such folder."""
    format = path.suffix.removeprefix(".").lower()
    if format not in FORMATS:
        raise InputError(f"--figure: expected a file name ending in {', '.join(FORMATS)}, and {str(path)!r} came")
    if not os.path.isdir(path.parent):  # Path's own question raises where a folder may not be searched
        raise InputError(f"--figure: the folder {path.parent} does not exist: create it first")
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"--figure: {path} is a folder or a device: expected the name of a file")
    return format


def figure_svg(family: TaskFamily, rule: Rule, kind: str | None = None, *, n: int = EXPERIMENTS) -> str:
    """The same picture as SVG text, equal for equal arguments. `kind`: one of `figure_kinds` [default: the first]."""
    return _rule_picture(family, rule, kind, "svg", n).decode("utf-8")


def _rule_picture(family: TaskFamily, rule: Rule, kind: str | None, format: str, n: int) -> bytes:
    kinds = figure_kinds(type(family))
    if not kinds:
        raise InputError(f"{family.name} has no picture of its rules", pointer="/kind")
    kind = kinds[0] if kind is None else kind
    if kind not in kinds:
        raise InputError(unknown_name("kind of picture", kind, kinds), pointer="/kind")
    _, traces = validation_traces(family, rule, n)

    def draw(figure: Figure) -> None:
        if kind == OVERVIEW:
            family.draw(rule, traces, figure)
        else:
            draw_chart(charts_of(family, rule, traces)[kind], figure)

    return rendered(draw, SIZE if kind == OVERVIEW else SIZE_OF_CHART, format)


def rendered(draw: Callable[[Figure], None], size: tuple[float, float], format: str) -> bytes:
    """The file of a picture of that size in inches; equal pictures are equal files."""
    # Neither the date nor random ids, so that equal pictures are equal files.
    undated: dict[str, Any] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[format]
    picture = io.BytesIO()
    with own_matplotlib():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, dpi=130)
        FigureCanvasAgg(figure)
        draw(figure)
        _settle(figure)
        figure.savefig(picture, format=format, metadata=undated)
    return picture.getvalue()


def _settle(figure: Figure) -> None:
    """Round where the layout put the axes: its solver's last bits depend on where its objects lie in memory."""
    import numpy as np
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(Bbox(np.round(axes.get_position().get_points(), 9)))


def draw_chart(chart: Chart, figure: Figure) -> None:
    """Draw one chart with all its series into an empty figure."""
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    many = len(chart.series) > MANY_SERIES
    for series in chart.series:
        if series.style == "points":
            axes.plot(series.x, series.y, linestyle="", marker=".", markersize=3, label=series.name)
            continue
        (line,) = axes.plot(series.x, series.y, linewidth=0.7 if many else 1.3, label=series.name)
        if series.low is not None and series.high is not None:
            axes.fill_between(series.x, series.low, series.high, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set(title=chart.title, xlabel=chart.x.label, ylabel=chart.y.label)
    axes.spines[["top", "right"]].set_visible(False)
    if not chart.series:
        axes.text(0.5, 0.5, "nothing finite to show", transform=axes.transAxes, ha="center", va="center")
    elif not many and len(chart.series) > 1:
        axes.legend(frameon=False, fontsize="small")
