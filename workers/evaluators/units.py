"""A unit of work: a family, some rules, some instances. Instances are built once per process and kept."""

from __future__ import annotations

import dataclasses
import itertools
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from ruleforge.errors import JobStopped
from ruleforge.family import InstanceKey, Outcome, Scores, TaskFamily
from ruleforge.kernel.compilation import compilation
from ruleforge.language.rule import Rule
from workers.evaluators.interface import never

MAX_KEPT_INSTANCES = 256
MAX_KEPT_BYTES = 1_000_000_000
# So much work is done in one call, as far as the family foresees it; and of what takes so many times longer than
# foreseen, and at least so long, the rest is given up.
PIECE_SECONDS, PIECE_BYTES = 5.0, 500_000_000
SLOWER, LEAST_PATIENCE_SECONDS = 20.0, 600.0

# Digest of the parameters, and key.
_Place = tuple[str, InstanceKey]


class InstanceCache:
    """Built instances by parameters and key, the least recently used dropped; safe between threads."""

    def __init__(self, size: int = MAX_KEPT_INSTANCES, n_bytes: int = MAX_KEPT_BYTES) -> None:
        self._size, self._bytes = size, n_bytes
        self._n_bytes = 0  # of all that is kept
        self._kept: OrderedDict[_Place, Any] = OrderedDict()
        self._building: dict[_Place, Future[Any]] = {}  # what some thread is at
        self._lock = threading.Lock()

    def get(self, family: TaskFamily, key: InstanceKey) -> Any:
        """The instance of a key, built if it is not there."""
        return self.get_all(family, [key])[0]

    def get_all(self, family: TaskFamily, keys: Sequence[InstanceKey]) -> list[Any]:
        """The instances of several keys. What is missing is built once: threads that want the same ones share them."""
        of_others: dict[int, Future[Any]] = {}
        instances: list[Any] = [None] * len(keys)
        for index, key in enumerate(keys):
            place = (family.parameters_digest, key)
            with self._lock:
                if place in self._kept:
                    self._kept.move_to_end(place)
                    instances[index] = self._kept[place]
                    continue
                if place in self._building:
                    of_others[index] = self._building[place]
                    continue
                promised = self._building[place] = Future()
            instances[index] = self._built(family, place, promised)
        # Nobody waits before what he has taken on is built, so that no two wait for each other.
        for index, future in of_others.items():
            instances[index] = future.result()
        return instances

    def _built(self, family: TaskFamily, place: _Place, promised: Future[Any]) -> Any:
        try:
            instance = family.build(place[1])
            n_bytes = bytes_of(instance)
        except BaseException as error:  # whatever it is, it is also that of those who wait
            with self._lock:
                del self._building[place]
            promised.set_exception(error)
            raise
        with self._lock:
            self._kept[place] = instance
            self._n_bytes += n_bytes
            while len(self._kept) > self._size or (self._n_bytes > self._bytes and len(self._kept) > 1):
                self._n_bytes -= bytes_of(self._kept.popitem(last=False)[1])
            del self._building[place]
        promised.set_result(instance)
        return instance


_instances = InstanceCache()


def bytes_of(instance: Any) -> int:
    """Bytes of the arrays of an instance."""
    if isinstance(instance, np.ndarray):
        return instance.nbytes
    if dataclasses.is_dataclass(instance) and not isinstance(instance, type):
        return sum(bytes_of(getattr(instance, field.name)) for field in dataclasses.fields(instance))
    if isinstance(instance, Mapping):
        return sum(map(bytes_of, instance.values()))
    return sum(map(bytes_of, instance)) if isinstance(instance, (list, tuple)) else 0


def score_unit(
    family: TaskFamily,
    rules: Sequence[Rule],
    keys: Sequence[InstanceKey],
    give_up_below: float | None = None,
    stop: Callable[[], bool] = never,
) -> list[Scores]:
    """Score rules on instances in this thread: one Scores per key.

    Where the family foresees that all rules at once would take long or much memory, they are scored piece by piece, and
    what is left when far more time than foreseen is gone has the outcome timed_out. Raises JobStopped between two
    pieces once `stop` is true.
    """
    with compilation.using(family.name):
        instances = _instances.get_all(family, keys)
        size, patience = _piece(family, rules, len(keys))
        if size >= len(rules):
            return family.evaluate_many(rules, instances, give_up_below=give_up_below)
        end = time.monotonic() + patience
        pieces: list[list[Scores]] = []
        for first in range(0, len(rules), size):
            piece = rules[first : first + size]
            if pieces and stop():
                raise JobStopped("scoring was stopped on request")
            if pieces and time.monotonic() > end:
                pieces.append([_timed_out(len(piece), like) for like in pieces[0]])
            else:
                pieces.append(family.evaluate_many(piece, instances, give_up_below=give_up_below))
        return [joined(parts) for parts in zip(*pieces, strict=True)]


def _piece(family: TaskFamily, rules: Sequence[Rule], n_keys: int) -> tuple[int, float]:
    """How many rules to score at once, and after how many seconds to give up the rest."""
    cost = family.cost(max(rule.complexity for rule in rules))
    if cost is None:
        return len(rules), math.inf
    fewest = family.rules_per_unit or family.rules_per_batch
    groups = math.ceil(n_keys / family.instances_per_batch)
    in_time = max(1, int(PIECE_SECONDS / (cost.seconds * groups))) * fewest
    in_memory = max(1, int(PIECE_BYTES / cost.rule_bytes))
    foreseen = cost.seconds * groups * len(rules)
    return min(in_time, in_memory), max(LEAST_PATIENCE_SECONDS, SLOWER * foreseen)


def _timed_out(n_rules: int, like: Scores) -> Scores:
    nothing = np.full(n_rules, np.nan)
    return Scores(np.full(n_rules, -np.inf), (Outcome.timed_out,) * n_rules, dict.fromkeys(like.metrics, nothing))


def joined(parts: Sequence[Scores]) -> Scores:
    """The scores of consecutive chunks of rules on one instance as one."""
    names = parts[0].metrics.keys()
    return Scores(
        np.concatenate([part.fitness for part in parts]),
        tuple(itertools.chain.from_iterable(part.outcome for part in parts)),
        {name: np.concatenate([part.metrics[name] for part in parts]) for name in names},
    )
