"""Scoring in this process: in the calling thread, or in several (the kernels release the GIL)."""

from __future__ import annotations

import concurrent.futures
import math
from collections.abc import Sequence

from ruleforge.family import Scores
from workers.evaluators.interface import Evaluator, Request
from workers.evaluators.units import joined, score_unit

# Rules of one unit at the most: enough for the kernels, few enough to stop soon.
RULES_PER_UNIT = 64
# Parts of a worker's share of what is left, of which it is given one at a time: few where every unit repeats work.
PARTS, PARTS_IF_WORK_IS_SHARED = 3.0, 1.2
# How soon a stop is noticed while units are running.
POLL_SECONDS = 0.1

# Rules and keys that are scored together, as slices of those of a call.
Unit = tuple[slice, slice]


def divide(
    n_rules: int, n_keys: int, keys_per_unit: int, workers: int, rules_per_unit: int, share_work: bool = False
) -> list[Unit]:
    """Units of work as (rules, keys) slices, in the order in which they are to be given out.

    Guided self-scheduling (Polychronopoulos & Kuck, IEEE Trans. Comput. C-36:1425, 1987): every unit takes a part of
    what is left, so that the last ones are short and the workers end together, although nobody knows beforehand how
    long a rule will run. rules_per_unit: the fewest that are worth a unit; all but the last are multiples of it;
    share_work: whether the rules of a unit do.
    """
    key_slices = [slice(start, min(start + keys_per_unit, n_keys)) for start in range(0, n_keys, keys_per_unit)]
    parts = workers * (PARTS_IF_WORK_IS_SHARED if share_work else PARTS) if workers > 1 else 1.0
    left = n_rules * len(key_slices)
    units = []
    for keys in key_slices:
        start = 0
        while start < n_rules:
            wanted = min(left / parts, RULES_PER_UNIT)
            end = min(start + math.ceil(wanted / rules_per_unit) * rules_per_unit, n_rules)
            units.append((slice(start, end), keys))
            left -= end - start
            start = end
    return units


def put_together(units: Sequence[Unit], results: Sequence[Sequence[Scores]], n_keys: int) -> list[Scores]:
    """One Scores per key, from those of units whose rules come in order."""
    by_key: list[list[Scores]] = [[] for _ in range(n_keys)]
    for (_, keys), scores in zip(units, results, strict=True):
        for position, part in zip(range(keys.start, keys.stop), scores, strict=True):
            by_key[position].append(part)
    return [joined(parts) for parts in by_key]


class ThreadEvaluator(Evaluator):
    """Scores with a fixed number of threads."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="score") if workers > 1 else None

    def answer(self, request: Request) -> list[Scores]:
        """Scores of all rules on each instance, by units that the threads share."""
        family, rules, keys, give_up_below, _ = request
        fewest = family.rules_per_unit or family.rules_per_batch
        units = divide(len(rules), len(keys), family.instances_per_batch, self.workers, fewest, family.rules_share_work)

        def run(unit: Unit) -> list[Scores]:
            request.refuse_if_stopped()
            return score_unit(family, rules[unit[0]], keys[unit[1]], give_up_below, request.stop)

        if self._pool is None:
            results = [run(unit) for unit in units]
        else:
            # Waiting in short steps keeps the main thread open to signals.
            futures = [self._pool.submit(run, unit) for unit in units]
            waiting = set(futures)
            while waiting:
                _, waiting = concurrent.futures.wait(waiting, timeout=POLL_SECONDS)
            results = [future.result() for future in futures]
        return put_together(units, results, len(keys))

    def close(self) -> None:
        """End the threads once their units have ended."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


class SerialEvaluator(ThreadEvaluator):
    """Scores in the calling thread: the plain reference of the others."""

    def __init__(self) -> None:
        super().__init__(1)
