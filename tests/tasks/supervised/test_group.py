"""Instances side by side: every spike is there once, in the block that it arrives in; groups are kept within bounds."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ruleforge.kernel.lanes import LANES
from ruleforge.language.rule import Rule
from tasks.supervised import Supervised
from tasks.supervised.group import GroupCache, side_by_side

VARIANTS = [
    {},
    {"resolution": 0.01},
    {"resolution": 1.0},  # many spikes of an input in one step
    {"synaptic_delay": 4.9, "weight_reading_delay": 2.0, "n_inputs": 3},  # blocks of 15 and 14 steps
    {"target_phase": 1.0, "weight_reading_interval": 1.0},
]


def family_of(variant):
    return Supervised({"duration": 300.0, "comparison_start": 100.0, **variant})


def instances(family, n):
    return [family.build(key) for key in family.keys("training", n, 3)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_spike_is_in_the_block_in_which_it_arrives(variant):
    family = family_of(variant)
    c, group = family._constants, instances(family, 5)
    experiments = side_by_side(c, group)
    lengths = [min(c.block, c.travel - offset) for offset in range(0, c.travel, c.block)]
    found = []
    begin, block = 0, 0
    while begin < c.n_steps:
        for place in experiments.arrivals[experiments.starts[block] : experiments.starts[block + 1]].tolist():
            j, rest = divmod(place, c.block * LANES)
            n, lane = divmod(rest, LANES)
            assert n < lengths[block % len(lengths)]
            found.append((lane, begin + n + 1 - c.delay, j))
        begin += lengths[block % len(lengths)]
        block += 1
    expected = [
        (lane, step, j)
        for lane, instance in enumerate(group)
        for step, j in zip(instance.spike_steps.tolist(), instance.spike_inputs.tolist(), strict=True)
        if step + c.delay <= c.n_steps
    ]
    assert sorted(found) == sorted(expected)
    # Those of one travel time after the end are asked for as well, and there are none.
    assert len(experiments.starts) > block + len(lengths)
    assert experiments.starts[-1] == len(found)


@pytest.mark.parametrize("variant", VARIANTS)
def test_recording_does_not_change_a_bit(variant):
    family = family_of(variant)
    rules = [Rule.parse("2*s*(v - u)", Supervised)]
    for instance in instances(family, 3):
        plain, recorded = (family._simulate(rules, [instance], None, record=record) for record in (False, True))
        assert plain[0].tobytes() == recorded[0].tobytes()
        assert plain[2][0].tobytes() == recorded[2][0].tobytes()


@pytest.mark.parametrize("text", ["s", "v", "0.5", "s + s", "s - u", "u/s - u/s", "-s", "log(1 + s)", "exp(-s)", "s*s"])
def test_the_last_operation_may_be_any(text):
    """What is done as the weight moves is what is done by itself: as with one more operation that changes nothing."""
    family = family_of({})
    group = instances(family, 4)
    direct, wrapped = (
        family.evaluate_many([Rule.parse(each, Supervised)], group) for each in (text, f"max({text}, {text})")
    )
    for one, other in zip(direct, wrapped, strict=True):
        assert one.fitness.tobytes() == other.fitness.tobytes()
        assert one.outcome == other.outcome


def test_groups_are_kept_and_dropped_within_bounds():
    family = family_of({})
    c, group = family._constants, instances(family, 6)
    measured = GroupCache()
    for instance in group:
        measured.get([instance], lambda instance=instance: side_by_side(c, [instance]))
    limit = measured.n_bytes // 2
    cache, built = GroupCache(size=limit), []

    def get(chosen):
        def build():
            built.append(chosen)
            return side_by_side(c, chosen)

        return cache.get(chosen, build)

    for instance in group:
        assert get([instance]) is get([instance])
        assert cache.n_bytes <= limit
    assert built == [[instance] for instance in group]
    get([group[-1]])
    assert len(built) == 6
    get([group[0]])  # it has been dropped
    assert len(built) == 7
    assert get(group[4:6]).n_lanes == 2
    assert cache.n_bytes <= limit

    nothing = GroupCache(size=0)
    assert nothing.get(group[:1], lambda: side_by_side(c, group[:1])).n_lanes == 1
    assert nothing.n_bytes == 0


def test_threads_share_the_groups():
    family = family_of({})
    group = instances(family, 3)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: family._experiments(group), range(16)))
    assert all(np.array_equal(one.arrivals, found[0].arrivals) for one in found)
    assert family._experiments(group) is family._experiments(group)
