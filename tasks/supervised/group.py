"""Instances side by side, in the form that the kernel reads: made once and kept, a search comes back to them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from ruleforge.kernel.lanes import LANES, aligned_zeros
from tasks.supervised.inputs import sort_arrivals
from tasks.supervised.instance import SupervisedInstance
from tasks.supervised.layout import Constants, Experiments

# A group of 16 at default sizes takes 3 MB.
MAX_KEPT_BYTES = 48_000_000


def side_by_side(c: Constants, instances: Sequence[SupervisedInstance]) -> Experiments:
    """Up to 16 instances of one family as lanes."""
    n_spikes = [len(instance.spike_steps) for instance in instances] + [0] * (LANES - len(instances))
    arrivals, starts = sort_arrivals(
        c,
        np.concatenate([[0], np.cumsum(n_spikes)]).astype(np.int64),
        np.concatenate([instance.spike_steps for instance in instances], dtype=np.int32, casting="same_kind"),
        np.concatenate([instance.spike_inputs for instance in instances], dtype=np.int32, casting="same_kind"),
    )
    held = aligned_zeros(len(instances[0].held_targets), LANES)
    compared = aligned_zeros(len(instances[0].compared_targets), LANES)
    weights, teacher = aligned_zeros(c.n_inputs, LANES), aligned_zeros(c.n_inputs, LANES)
    held[:], compared[:] = c.rest, c.rest
    for lane, instance in enumerate(instances):
        held[:, lane], compared[:, lane] = instance.held_targets, instance.compared_targets
        weights[:, lane], teacher[:, lane] = instance.initial_weights, instance.teacher_weights
    return Experiments(
        arrivals, starts, held.ravel(), compared.ravel(), weights.ravel(), teacher.ravel(), len(instances)
    )


class GroupCache:
    """Groups of instances by identity, the least recently used dropped; safe between threads."""

    def __init__(self, size: int = MAX_KEPT_BYTES) -> None:
        self._size = size
        # The instances are kept as well, so that nobody else gets their identity.
        self._kept: OrderedDict[tuple[int, ...], tuple[Sequence[SupervisedInstance], Experiments]] = OrderedDict()
        self.n_bytes = 0  # of all that is kept
        self._lock = threading.Lock()

    def get(self, instances: Sequence[SupervisedInstance], build: Callable[[], Experiments]) -> Experiments:
        """The group of these instances, built if it is not there."""
        place = tuple(map(id, instances))
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place][1]
        group = build()  # outside the lock: two threads may build the same one, and both get the same
        with self._lock:
            if place not in self._kept:
                self._kept[place] = tuple(instances), group
                self.n_bytes += _bytes(instances, group)
            while self.n_bytes > self._size:
                _, dropped = self._kept.popitem(last=False)
                self.n_bytes -= _bytes(*dropped)
        return group


def _bytes(instances: Sequence[SupervisedInstance], group: Experiments) -> int:
    arrays = [array for holder in (group, *(vars(instance).values() for instance in instances)) for array in holder]
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
