"""What the figures are to be, and whether they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.record import slowest
from benchmarks.sides import LIMIT, OURS, OURS_BATCH


@dataclass(frozen=True)
class Target:
    """One claim, the bound that it is held to, and what was measured. at_most: the bound is an upper one."""

    claim: str
    bound: float
    at_most: bool
    value: float

    @property
    def wanted(self) -> str:
        """The bound as text."""
        return f"{'≤' if self.at_most else '≥'} {self.bound:g}"

    @property
    def holds(self) -> bool:
        """Whether the measured figure keeps the bound."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound


def _ratios(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    return {row["name"]: row["ratio"] for row in rows if not row["absent"]}


def _of_side(section: Mapping[str, Any]) -> Iterator[Target]:
    """Ratios in a section are to the first row, ruleforge with one call's rules."""
    family, setting = section["family"], section["setting"]
    ratio = _ratios(section["rows"])
    where = f"{family}, {setting}"
    if LIMIT in ratio:
        bound = 1.3 if family == "correlation" else 1.5
        yield Target(f"{where}: {OURS} / {LIMIT}", bound, True, ratio[OURS] / ratio[LIMIT])
        if OURS_BATCH in ratio:
            yield Target(f"{where}: {OURS_BATCH} / {LIMIT}", bound, True, ratio[OURS_BATCH] / ratio[LIMIT])
    for name, bound in (("NEST", 60.0), ("NEST, trial by trial", 60.0)):
        if family == "reward" and setting == "h = 0.1 ms" and name in ratio:
            yield Target(f"{where}: {name} / {OURS}", bound, False, ratio[name] / ratio[OURS])
    if family == "supervised" and "NEST" in ratio:
        yield Target(f"{where}: NEST / {OURS}", 300.0, False, ratio["NEST"] / ratio[OURS])
        yield Target(f"{where}: NEST / {OURS_BATCH}", 300.0, False, ratio["NEST"] / ratio[OURS_BATCH])
    if family == "correlation":
        for name, bound in (("NEST", 350.0), ("Brian2", 3.0), ("Brian2, 8 at once", 3.0)):
            if name in ratio:
                yield Target(f"{where}: {name} / {OURS}", bound, False, ratio[name] / ratio[OURS])


def reached(results: Mapping[str, Any]) -> list[Target]:
    """The targets that the measured parts speak to."""
    found: list[Target] = []
    for section in results.get("sides", {}).get("measured", []):
        found += _of_side(section)
    for name, rows in results.get("savings", {}).get("measured", {}).items():
        claim = f"{name}: distinct rules per second, racing and fingerprints on / off"
        found.append(Target(claim, 4.0, False, rows[-1]["gain"]))
    for row in results.get("threads", {}).get("measured", []):
        if "absent" not in row:
            claim = f"{row['family']}: speed-up by a second thread"
            if "ceiling" in row:
                claim += f" (two processes that share nothing: {row['ceiling']:.2f})"
            found.append(Target(claim, 1.85, False, row["speed_up"]))
    for row in results.get("cluster", {}).get("measured", []):
        if "absent" not in row:
            units = f"{row['instances']} instances" if "instances" in row else "default job"
            claim = f"{row['family']}, {units}: what two Dask workers add to the time of two threads"
            found.append(Target(claim, 0.05, True, row["overhead"]))
    for row in results.get("start", {}).get("measured", []):
        found.append(Target(f"{row['family']}: start of a worker, s", 2.0, True, row["seconds"]))
    for backend, record in results.get("record", {}).get("measured", {}).items():
        if "absent" not in record:
            found.append(Target(f"record on {backend}: slowest page, ms", 50.0, True, 1e3 * slowest(record)))
            statistics = 1e3 * slowest(record, pages=False)
            found.append(Target(f"record on {backend}: statistics, ms", 10.0, True, statistics))
    return found
