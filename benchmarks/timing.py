"""Rounds that alternate between contenders, so that a machine that changes its speed does so for all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Timing:
    """Seconds for one unit of work: processor time, and time on the clock."""

    cpu: float
    wall: float


class Contender(Protocol):
    """Something that does a unit of work again and again."""

    name: str
    note: str

    def measure(self) -> Timing:
        """Do it once more and tell how long one unit took."""

    def close(self) -> None:
        """Give back processes and files."""


@dataclass
class InProcess:
    """A contender that runs here, in this thread. n_units: units of work in one call."""

    name: str
    call: Callable[[], object]
    n_units: int
    note: str = ""

    def measure(self) -> Timing:
        """Time one call."""
        cpu, wall = time.process_time(), time.perf_counter()
        self.call()
        return Timing((time.process_time() - cpu) / self.n_units, (time.perf_counter() - wall) / self.n_units)

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Row:
    """What became of one contender: medians over the rounds, in seconds per unit, or why it is absent.

    ratio: its processor time over that of the first contender, median over the rounds of the ratio within each round;
    wall_ratio: the same on the clock. extra: further figures of its own, such as the time to compile.
    """

    name: str
    cpu: float | None = None
    wall: float | None = None
    ratio: float | None = None
    wall_ratio: float | None = None
    rounds: int = 0
    note: str = ""
    absent: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


def alternate(contenders: Sequence[Contender], rounds: int) -> list[Row]:
    """Measure each contender once per round, after one round that does not count; ratios are to the first one."""
    taken: list[list[Timing]] = [[] for _ in contenders]
    for number in range(rounds + 1):
        for timings, contender in zip(taken, contenders, strict=True):
            timing = contender.measure()
            if number:
                timings.append(timing)
    return [
        Row(
            contender.name,
            cpu=statistics.median(timing.cpu for timing in timings),
            wall=statistics.median(timing.wall for timing in timings),
            ratio=statistics.median(t.cpu / base.cpu for t, base in zip(timings, taken[0], strict=True)),
            wall_ratio=statistics.median(t.wall / base.wall for t, base in zip(timings, taken[0], strict=True)),
            rounds=rounds,
            note=contender.note,
            extra=dict(getattr(contender, "extra", {})),
        )
        for contender, timings in zip(contenders, taken, strict=True)
    ]
