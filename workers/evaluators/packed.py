"""Scores for the way back from a worker: one string of bytes in place of many arrays.

Dask sends every array in a frame of its own, takes each apart in the scheduler and puts it together in the client:
thirty arrays of a short unit took more of a core than all else that is done for it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from ruleforge.family import Outcome, Scores

OUTCOMES = tuple(Outcome)
NUMBER = {outcome: number for number, outcome in enumerate(OUTCOMES)}
FLOAT = np.dtype("<f8")

# Names of the metrics of each key; (n_arrays, n_rules) float64: of each key the fitness, then its metrics;
# (n_keys, n_rules) uint8: numbers of outcomes.
Packed = tuple[tuple[tuple[str, ...], ...], bytes, bytes]


def packed(scores: Sequence[Scores]) -> Packed:
    """The scores of one batch of rules on each of several keys."""
    arrays = [array for each in scores for array in (each.fitness, *each.metrics.values())]
    outcomes = b"".join(bytes(map(NUMBER.__getitem__, each.outcome)) for each in scores)
    return tuple(tuple(each.metrics) for each in scores), np.array(arrays, FLOAT).tobytes(), outcomes


def as_json(given: Packed) -> list[Any]:
    """What was packed, for JSON."""
    names, values, outcomes = given
    return [names, base64.b64encode(values).decode(), base64.b64encode(outcomes).decode()]


def from_json(given: Sequence[Any]) -> Packed:
    """What was packed, from JSON."""
    names, values, outcomes = given
    return tuple(map(tuple, names)), base64.b64decode(values), base64.b64decode(outcomes)


def unpacked(given: Packed) -> list[Scores]:
    """What was packed, to the last bit."""
    names, values, outcomes = given
    n_rules = len(outcomes) // len(names)
    rows = iter(np.frombuffer(values, FLOAT).reshape(-1, n_rules).astype(np.float64))
    found = []
    for place, metrics in enumerate(names):
        own = outcomes[place * n_rules : (place + 1) * n_rules]
        fitness = next(rows)
        found.append(Scores(fitness, tuple(map(OUTCOMES.__getitem__, own)), {name: next(rows) for name in metrics}))
    return found
