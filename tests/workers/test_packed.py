"""What comes back from a worker is what was scored, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from ruleforge.family import Outcome, Scores
from workers.evaluators.packed import packed, unpacked

ODD = np.array([0x7FF8000000000123, 0x8000000000000000, 0xFFF0000000000000, 1], np.uint64).view(np.float64)


def scores_of(n_rules, *names):
    outcomes = tuple(list(Outcome)[place % len(Outcome)] for place in range(n_rules))
    return Scores(ODD[:n_rules], outcomes, {name: ODD[:n_rules] + place for place, name in enumerate(names)})


@pytest.mark.parametrize("n_rules", [1, 4])
@pytest.mark.parametrize("names", [[()], [("spikes", "energy")] * 3, [("spikes",), (), ("energy", "accuracy")]])
def test_scores_come_back_to_the_last_bit(n_rules, names):
    given = [scores_of(n_rules, *some) for some in names]
    found = unpacked(packed(given))
    assert len(found) == len(given)
    for ours, theirs in zip(found, given, strict=True):
        assert ours.fitness.tobytes() == theirs.fitness.tobytes()
        assert ours.outcome == theirs.outcome
        assert list(ours.metrics) == list(theirs.metrics)
        assert all(ours.metrics[name].tobytes() == theirs.metrics[name].tobytes() for name in theirs.metrics)
        ours.fitness[0] = 0.0  # they may be written to
