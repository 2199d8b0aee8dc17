"""Scoring in this process: in the calling thread, or in several (the kernels release the GIL)."""

from __future__ import annotations

import concurrent.futures
import math
from collections.abc import Callable, Sequence

import numpy as np

from ruleforge.errors import JobStopped
from ruleforge.family import InstanceKey, Scores, TaskFamily
from ruleforge.language.rule import Rule
from workers.evaluators.interface import never
from workers.evaluators.units import score_unit

# Rules of one unit: enough to fill the lanes of a kernel many times, few enough to stop soon.
RULES_PER_UNIT = 64
# How soon a stop is noticed while units are running.
POLL_SECONDS = 0.1


def divide(
    n_rules: int, n_keys: int, keys_per_unit: int, workers: int, rules_per_lane_batch: int
) -> list[tuple[slice, slice]]:
    """Units of work as (rules, keys) slices: whole batches of lanes, and if possible several units per worker."""
    key_slices = [slice(start, min(start + keys_per_unit, n_keys)) for start in range(0, n_keys, keys_per_unit)]
    batch = RULES_PER_UNIT
    while batch > rules_per_lane_batch and len(key_slices) * math.ceil(n_rules / batch) < 2 * workers:
        batch = max(rules_per_lane_batch, batch // 2)
    return [
        (slice(start, min(start + batch, n_rules)), keys) for keys in key_slices for start in range(0, n_rules, batch)
    ]


def joined(parts: Sequence[Scores]) -> Scores:
    """The scores of consecutive chunks of rules on one instance as one."""
    names = parts[0].metrics.keys()
    return Scores(
        np.concatenate([part.fitness for part in parts]),
        tuple(outcome for part in parts for outcome in part.outcome),
        {name: np.concatenate([part.metrics[name] for part in parts]) for name in names},
    )


class ThreadEvaluator:
    """Scores with a fixed number of threads."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="score") if workers > 1 else None

    def score(
        self,
        family: TaskFamily,
        rules: Sequence[Rule],
        keys: Sequence[InstanceKey],
        give_up_below: float | None = None,
        stop: Callable[[], bool] = never,
    ) -> list[Scores]:
        """Scores of all rules on each instance. Raises JobStopped once `stop` is true."""
        if not rules:
            return [Scores(np.empty(0), ()) for _ in keys]
        units = divide(len(rules), len(keys), family.instances_per_batch, self.workers, family.rules_per_batch)

        def run(unit: tuple[slice, slice]) -> list[Scores]:
            if stop():
                raise JobStopped("scoring was stopped on request")
            return score_unit(family, rules[unit[0]], keys[unit[1]], give_up_below)

        if self._pool is None:
            results = [run(unit) for unit in units]
        else:
            # Waiting in short steps keeps the main thread open to signals.
            futures = [self._pool.submit(run, unit) for unit in units]
            waiting = set(futures)
            while waiting:
                _, waiting = concurrent.futures.wait(waiting, timeout=POLL_SECONDS)
            results = [future.result() for future in futures]
        by_key: list[list[Scores]] = [[] for _ in keys]
        for (_, key_slice), scores in zip(units, results, strict=True):
            for position, part in zip(range(key_slice.start, key_slice.stop), scores, strict=True):
                by_key[position].append(part)
        return [joined(parts) for parts in by_key]

    def close(self) -> None:
        """End the threads once their units have ended."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


class SerialEvaluator(ThreadEvaluator):
    """Scores in the calling thread: the plain reference of the others."""

    def __init__(self) -> None:
        super().__init__(1)
