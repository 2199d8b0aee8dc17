"""How scoring is cut for a cluster: units long enough to be worth sending and many enough to keep all workers busy.

Measured cost decides the cut and nothing else: a rule's score does not depend on what is scored beside it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from ruleforge.family import Scores, TaskFamily
from workers.evaluators.threads import RULES_PER_UNIT, Unit, divide

# The longest unit, where the family's batches allow it: so long may a lost one have to be computed again.
LONGEST_SECONDS = 5.0
# What one unit costs as a task of a scheduler, beside its own work, in the processes that share a machine.
SECONDS_PER_TASK = 0.003
# The shortest unit that is worth what it costs beside its work, and how much of its time a client needs for each: for
# its result, and its part of the messages.
SHORTEST_SECONDS = 0.002
CLIENT_SECONDS_PER_UNIT = 0.0003
# By how much of its length the last unit may be later than expected, because rules and workers are not equal.
VARIATION = 0.1
# What a unit costs for each of its instances beside its rules, as so many rules more: some of the simulation is the
# same for all of them, and the instance may have to be built.
RULES_PER_INSTANCE = 1
UNITS_PER_WORKER = 2


def pairs(unit: Unit) -> int:
    """Rules × instances of a unit."""
    rules, keys = unit
    return len(range(rules.start, rules.stop)) * len(range(keys.start, keys.stop))


class Costs:
    """Measured seconds of one rule on one instance, by the digest of family and parameters."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, digest: str, n_pairs: int, seconds: float) -> None:
        """Take in one unit: the newest counts as much as all before, because rules change as a search goes on."""
        per_pair = seconds / n_pairs
        self._seconds[digest] = (self._seconds.get(digest, per_pair) + per_pair) / 2

    def note_unit(self, digest: str, unit: Unit, seconds: float) -> None:
        """Take in one unit."""
        self.note(digest, pairs(unit), seconds)

    def of(self, digest: str) -> float | None:
        """Seconds per rule and instance; None before the first measurement."""
        return self._seconds.get(digest)


def cut(
    n_rules: int,
    n_keys: int,
    rules_per_batch: int,
    instances_per_batch: int,
    workers: int,
    seconds_per_pair: float | None,
) -> list[Unit]:
    """(rules, keys) slices of whole batches that cover everything once, for tasks.

    Of all ways to cut both into equal parts, the one that should end first; before any measurement, the one that gives
    every worker two units, if there are so many batches.
    """
    rule_batches, key_batches = math.ceil(n_rules / rules_per_batch), math.ceil(n_keys / instances_per_batch)
    batch_seconds = 1.0
    if seconds_per_pair is not None:
        batch_seconds = seconds_per_pair * n_rules * n_keys / (rule_batches * key_batches)

    def expected(parts: tuple[int, int]) -> tuple[bool, float]:
        rule_parts, key_parts = parts
        units = rule_parts * key_parts
        batches = math.ceil(rule_batches / rule_parts)
        length = batches * math.ceil(key_batches / key_parts) * batch_seconds
        if seconds_per_pair is None:
            return units < min(UNITS_PER_WORKER * workers, rule_batches * key_batches), units
        in_all = length * (1 + RULES_PER_INSTANCE / (batches * rules_per_batch))
        seconds = (math.ceil(units / workers) + VARIATION) * in_all + units * SECONDS_PER_TASK
        return length > max(LONGEST_SECONDS, batch_seconds), seconds

    ways = itertools.product(_divisions(rule_batches), _divisions(key_batches))
    rule_parts, key_parts = min(ways, key=expected)
    return [
        (rules, keys)
        for keys in _parts(n_keys, instances_per_batch, key_parts)
        for rules in _parts(n_rules, rules_per_batch, rule_parts)
    ]


def portions(n_rules: int, n_keys: int, family: TaskFamily, workers: int, seconds_per_pair: float) -> list[Unit]:
    """(rules, keys) slices that cover everything once, for messages: falling in length as those of threads are, but
    none so short that the client could not serve all workers in its time.
    """
    shortest = max(SHORTEST_SECONDS, CLIENT_SECONDS_PER_UNIT * workers)
    batch, rules = family.instances_per_batch, min(n_rules, RULES_PER_UNIT)
    # Of several batches of instances only if all rules on one are too short.
    batches = math.ceil(shortest / (seconds_per_pair * min(batch, n_keys) * rules))
    keys_per_unit = min(max(batches, 1) * batch, n_keys)
    fewest = family.rules_per_unit or family.rules_per_batch
    times = math.ceil(shortest / (seconds_per_pair * keys_per_unit * fewest))
    return divide(n_rules, n_keys, keys_per_unit, workers, fewest * max(times, 1), family.rules_share_work)


def interleaved(n_rules: int, rules_per_batch: int) -> list[int]:
    """An order of rules in which each batch has some from the beginning, the middle and the end."""
    batches = math.ceil(n_rules / rules_per_batch)
    return [place for first in range(batches) for place in range(first, n_rules, batches)]


def in_order(scores: Sequence[Scores], order: Sequence[int]) -> list[Scores]:
    """Scores per key of rules that were put into an order, as they were before."""
    back = np.argsort(order)
    places = back.tolist()
    return [
        Scores(
            each.fitness[back],
            tuple(map(each.outcome.__getitem__, places)),
            {name: values[back] for name, values in each.metrics.items()},
        )
        for each in scores
    ]


def _divisions(batches: int) -> list[int]:
    """Numbers of parts that so many batches may be cut into, without those that make no part shorter."""
    return sorted({math.ceil(batches / length) for length in range(1, batches + 1)})


def _parts(n: int, batch: int, parts: int) -> list[slice]:
    """0 … n in so many slices of whole batches, as equal as they can be; the last batch may be a broken one."""
    batches = math.ceil(n / batch)
    ends = [min(n, (batches * part // parts) * batch) for part in range(parts + 1)]
    return [slice(start, end) for start, end in itertools.pairwise(ends)]
