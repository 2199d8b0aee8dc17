"""A unit of work: a family, some rules, some instances. Instances are built once per process and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from ruleforge.family import InstanceKey, Scores, TaskFamily
from ruleforge.kernel.compilation import compilation
from ruleforge.language.rule import Rule

MAX_KEPT_INSTANCES = 256

# Digest of the parameters, and key.
_Place = tuple[str, InstanceKey]


class InstanceCache:
    """Built instances by parameters and key, the least recently used dropped; safe between threads."""

    def __init__(self, size: int = MAX_KEPT_INSTANCES) -> None:
        self._size = size
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
        except BaseException as error:  # whatever it is, it is also that of those who wait
            with self._lock:
                del self._building[place]
            promised.set_exception(error)
            raise
        with self._lock:
            self._kept[place] = instance
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
            del self._building[place]
        promised.set_result(instance)
        return instance


_instances = InstanceCache()


def score_unit(
    family: TaskFamily, rules: Sequence[Rule], keys: Sequence[InstanceKey], give_up_below: float | None = None
) -> list[Scores]:
    """Score rules on instances in this thread: one Scores per key."""
    with compilation.using(family.name):
        return family.evaluate_many(rules, _instances.get_all(family, keys), give_up_below=give_up_below)
