"""How scoring is cut for a cluster: everything once, in whole batches, as long and as many as the work allows."""

from __future__ import annotations

import numpy as np
import pytest

from ruleforge.family import family
from workers.evaluators.cutting import CLIENT_SECONDS_PER_UNIT, LONGEST_SECONDS, Costs, cut, portions


def lengths(units, seconds_per_pair):
    return [(rules.stop - rules.start) * (keys.stop - keys.start) * seconds_per_pair for rules, keys in units]


@pytest.mark.parametrize("seconds_per_pair", [None, 1e-6, 0.003, 0.1, 20.0])
@pytest.mark.parametrize("workers", [1, 2, 7, 300])
@pytest.mark.parametrize(("n_rules", "n_keys"), [(1, 1), (1, 50), (64, 1), (67, 15), (200, 10)])
@pytest.mark.parametrize(("rules_per_batch", "instances_per_batch"), [(1, 1), (16, 1), (16, 8)])
def test_everything_is_covered_once_in_whole_batches(
    n_rules, n_keys, rules_per_batch, instances_per_batch, workers, seconds_per_pair
):
    covered = np.zeros((n_rules, n_keys), dtype=int)
    for rules, keys in cut(n_rules, n_keys, rules_per_batch, instances_per_batch, workers, seconds_per_pair):
        assert rules.stop > rules.start
        assert keys.stop > keys.start
        covered[rules, keys] += 1
        assert rules.start % rules_per_batch == 0
        assert keys.start % instances_per_batch == 0
    assert (covered == 1).all()


@pytest.mark.parametrize("seconds_per_pair", [1e-6, 0.001, 0.1])
@pytest.mark.parametrize("workers", [1, 2, 7, 300])
@pytest.mark.parametrize(("n_rules", "n_keys"), [(1, 1), (1, 50), (64, 1), (67, 15), (200, 10)])
@pytest.mark.parametrize("name", ["reward", "supervised", "correlation"])
def test_messages_too_cover_everything_once_and_are_not_too_many(name, n_rules, n_keys, workers, seconds_per_pair):
    """All workers together ask for no more of them than one client can send."""
    bound = family(name)
    covered = np.zeros((n_rules, n_keys), dtype=int)
    units = portions(n_rules, n_keys, bound, workers, seconds_per_pair)
    for rules, keys in units:
        covered[rules, keys] += 1
        assert keys.start % bound.instances_per_batch == 0
        whole = rules.stop == n_rules or keys.stop == n_keys
        assert whole or sum(lengths([(rules, keys)], seconds_per_pair)) >= CLIENT_SECONDS_PER_UNIT * workers
    assert (covered == 1).all()


@pytest.mark.parametrize("workers", [1, 2, 4, 16])
def test_before_any_measurement_every_worker_gets_two_units(workers):
    units = cut(64, 40, 4, 1, workers, None)
    assert 2 * workers <= len(units) <= 4 * workers


@pytest.mark.parametrize("workers", [1, 2, 4, 16])
@pytest.mark.parametrize("seconds_per_pair", [0.002, 0.02, 0.2])
def test_much_work_is_cut_into_units_of_half_a_second_to_five(workers, seconds_per_pair):
    units = cut(640, 40, 1, 1, workers, seconds_per_pair)
    total = 640 * 40 * seconds_per_pair
    assert len(units) >= workers
    for length in lengths(units, seconds_per_pair):
        assert min(0.3, total / (3 * workers)) <= length <= LONGEST_SECONDS


def test_rules_stay_together_where_there_are_instances_enough_to_cut():
    """Each part of the rules would build the instances once more, and repeat what its rules share."""
    for workers in (2, 4):
        for seconds_per_pair in (7e-5, 0.001):
            units = cut(64, 960, 16, 16, workers, seconds_per_pair)
            assert {(rules.start, rules.stop) for rules, _ in units} == {(0, 64)}


def test_hardly_any_work_is_one_unit():
    assert len(cut(64, 10, 1, 1, 8, 1e-6)) == 1


def test_a_little_work_is_shared_by_all_workers():
    for workers in (2, 4):
        assert len(cut(64, 4, 16, 1, workers, 0.3 / 256)) in (workers, 2 * workers)


def test_no_worker_is_left_with_a_double_share():
    # Three batches of rules on two instances: cut into six and not into four, of which two are twice as long.
    units = cut(48, 2, 16, 1, 2, 0.2 / 16)
    assert sorted(lengths(units, 1.0)) in ([16.0] * 6, [48.0] * 2)


def test_a_batch_that_is_too_long_is_sent_as_it_is():
    assert len(cut(16, 3, 16, 1, 2, 10.0)) == 3


def test_costs_follow_the_newest_measurement():
    costs = Costs()
    assert costs.of("a") is None
    costs.note("a", 100, 1.0)
    assert costs.of("a") == pytest.approx(0.01)
    costs.note("a", 100, 3.0)
    assert costs.of("a") == pytest.approx(0.02)
    assert costs.of("b") is None
