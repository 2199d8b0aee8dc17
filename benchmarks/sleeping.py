"""Workers that sleep: clusters of hundreds of them on one machine, to see what a scheduler adds.

`python -m benchmarks.sleeping ADDRESS N [messages]` runs N workers of one thread each in one process, until it is told
to end; `messages`: they hear those of clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import dask
import numpy as np
from distributed import Worker

from ruleforge import family as families
from ruleforge.family import (
    FamilyParameters,
    InstanceKey,
    Outcome,
    Scores,
    SearchDefaults,
    TaskFamily,
    Trace,
    parameter,
)
from ruleforge.language import Rule, Signal, Slot
from workers.cluster.embedded import QUIET
from workers.evaluators.shares import hear_messages

SOURCE = "this benchmark"


class SleepingParameters(FamilyParameters):
    """How long a batch of rules takes on an instance."""

    seconds: float = parameter(0.5, unit="s", meaning="duration of a batch on an instance", source=SOURCE, ge=0)


class Sleeping(TaskFamily):
    """A family that sleeps as long as others simulate. Every rule has fitness 0."""

    name: ClassVar = "sleeping"
    version: ClassVar = 1
    title: ClassVar = "Sleeping: as long as a simulation, without its work"
    citation: ClassVar = SOURCE
    fitness_meaning: ClassVar = "none"
    Parameters: ClassVar = SleepingParameters
    slots: ClassVar = (Slot("dw", (Signal("x", "1", "a trace", (0.0, 5.0)),), updates="w", when="step"),)
    search_defaults: ClassVar = SearchDefaults(("+", "*"), (1.0,), None, training=10, validation=10, library=5)

    def build(self, key: InstanceKey) -> InstanceKey:
        """Nothing to build."""
        return key

    def evaluate(self, rules: Sequence[Rule], instance: Any, *, give_up_below: float | None = None) -> Scores:
        """Sleep for every batch of rules."""
        time.sleep(self.parameters.seconds * -(-len(rules) // self.rules_per_batch))
        return Scores(np.zeros(len(rules)), (Outcome.ok,) * len(rules))

    def trace(self, rule: Rule, instance: Any) -> Trace:
        """Nothing happens."""
        return {}


@contextlib.contextmanager
def installed(folder: Path) -> Iterator[dict[str, str]]:
    """Make the family known here; yields the environment in which other processes know it."""
    information = folder / "ruleforge_sleeping-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: ruleforge_sleeping\nVersion: 1.0\n", "utf-8")
    (information / "entry_points.txt").write_text(
        "[ruleforge.tasks]\nsleeping = benchmarks.sleeping:Sleeping\n", "utf-8"
    )
    sys.path.insert(0, str(folder))
    _forget()
    try:
        yield {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path[1:]])}
    finally:
        sys.path.remove(str(folder))
        _forget()


def _forget() -> None:
    families._entry_points.cache_clear()
    families.family_class.cache_clear()


async def run(address: str, n: int, *, hear: bool) -> None:
    """Run n workers until the scheduler ends. hear: messages of clients."""
    with dask.config.set(QUIET):
        workers = [Worker(address, nthreads=1, memory_limit=0, dashboard=False, nanny=None) for _ in range(n)]
        if hear:
            for worker in workers:
                hear_messages(worker)
        await asyncio.gather(*workers)
        await asyncio.gather(*(worker.finished() for worker in workers))


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), hear=sys.argv[3:] == ["messages"]))
