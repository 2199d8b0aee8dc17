"""Charts in plain data: what a family shows of a rule, whoever paints it (matplotlib, a web page, a notebook)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Axis:
    """What an axis shows, and in which unit ("1" if dimensionless)."""

    name: str
    unit: str

    @property
    def label(self) -> str:
        """Name and unit as they stand beside the axis."""
        return self.name if self.unit == "1" else f"{self.name} ({self.unit})"


@dataclass(frozen=True)
class Series:
    """One line, or one cloud of points. A NaN is a gap.

    x, y: (n,) float64, in the units of the axes; low, high: (n,) float64, the edges of a band around y, or None.
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    style: Literal["line", "points"] = "line"
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Chart:
    """Series over common axes."""

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]


def level(name: str, x: NDArray[np.float64], value: float) -> Series:
    """A horizontal line over the extent of x."""
    ends = np.array([np.nanmin(x), np.nanmax(x)])
    return Series(name, ends, np.full(2, value))
