"""A unit of work: a family, some rules, some instances. Instances are built once per process and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from ruleforge.family import InstanceKey, Scores, TaskFamily
from ruleforge.language.rule import Rule

MAX_KEPT_INSTANCES = 256


class InstanceCache:
    """Built instances by parameters and key, the least recently used dropped; safe between threads."""

    def __init__(self, size: int = MAX_KEPT_INSTANCES) -> None:
        self._size = size
        self._kept: OrderedDict[tuple[str, InstanceKey], Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, family: TaskFamily, key: InstanceKey) -> Any:
        """The instance of a key, built if it is not there."""
        place = (family.parameters_digest, key)
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place]
        instance = family.build(key)  # outside the lock: two threads may build the same one, and both get the same
        with self._lock:
            self._kept[place] = instance
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return instance


_instances = InstanceCache()


def score_unit(
    family: TaskFamily, rules: Sequence[Rule], keys: Sequence[InstanceKey], give_up_below: float | None = None
) -> list[Scores]:
    """Score rules on instances in this thread: one Scores per key."""
    instances = [_instances.get(family, key) for key in keys]
    return family.evaluate_many(rules, instances, give_up_below=give_up_below)
