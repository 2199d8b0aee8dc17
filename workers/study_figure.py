"""How soon searches find what they should: the picture of a study, one curve for each configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruleforge.statistics.searches import Times, distribution
from workers.pictures import SIZE_OF_CHART, rendered, write_picture
from workers.study import times_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_found(axes: Axes, times: Mapping[str, Times], title: str) -> None:
    """The share of searches that have found it over evaluations, by configuration: Kaplan and Meier's estimate.

    A curve goes on to the last evaluation of its searches; where all were found it is the empirical distribution.
    """
    for label, each in times.items():
        steps = distribution(each)
        end = max((*each.reached, *each.censored), default=0.0)
        x = [0.0, *(moment for moment, _ in steps), end]
        y = [0.0, *(share for _, share in steps), steps[-1][1] if steps else 0.0]
        axes.step(x, y, where="post", label=f"{label} (n = {each.n})")
    axes.set(title=title, xlabel="distinct rules evaluated", ylabel="share that has found it", ylim=(0, 1.02))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")


def draw_study(result: Mapping[str, Any], path: Path) -> None:
    """Draw a study's result into a file (png, svg or pdf by its ending)."""
    times = {
        row["configuration"]: times_of([job for job in result["jobs"] if job["configuration"] == row["configuration"]])
        for row in result["rows"]
    }
    targets = sorted({row["target"] for row in result["rows"] if row["target"] is not None})
    title = f"target {', '.join(f'{target:g}' for target in targets) or 'none'}"

    def draw(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        draw_found(figure.subplots(), times, title)

    write_picture(path, lambda format: rendered(draw, SIZE_OF_CHART, format))
