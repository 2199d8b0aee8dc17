"""The declared statistics against slow, independent ways to the same numbers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleforge.statistics import EXPECTED_MINIMUM_OF_8, MEAN, summary
from ruleforge.statistics.resampling import bootstraps

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12)


@given(numbers)
def test_the_expected_minimum_is_the_mean_over_all_subsets_of_8(values):
    subsets = list(itertools.combinations(values, min(8, len(values))))
    expected = math.fsum(map(min, subsets)) / len(subsets)
    assert EXPECTED_MINIMUM_OF_8.value(np.array(values)) == pytest.approx(expected, rel=1e-12, abs=1e-9)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8))
def test_of_8_instances_or_fewer_it_is_the_plain_minimum_to_the_last_bit(values):
    assert EXPECTED_MINIMUM_OF_8.value(np.array(values)) == min(values)


@pytest.mark.parametrize("n", [9, 100, 1000, 10_000])
def test_the_weights_are_shares(n):
    assert EXPECTED_MINIMUM_OF_8.weights is not None
    weights = EXPECTED_MINIMUM_OF_8.weights(n)
    assert math.fsum(weights) == pytest.approx(1.0, abs=1e-12)
    assert (np.diff(weights) <= 0).all()
    assert weights[0] == pytest.approx(8 / n)
    assert (weights[-7:] == 0).all()


def test_of_many_instances_it_tends_to_the_expectation_of_the_distribution():
    """The lowest of 8 uniform numbers is expected at 1/9."""
    grid = (np.arange(100_000) + 0.5) / 100_000
    assert EXPECTED_MINIMUM_OF_8.value(grid) == pytest.approx(1 / 9, rel=1e-4)


@pytest.mark.parametrize("statistic", [MEAN, EXPECTED_MINIMUM_OF_8], ids=lambda statistic: statistic.name)
@given(values=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), seed=st.integers(0, 2**32))
def test_a_resample_that_is_counted_is_the_sample_written_out(statistic, values, seed):
    fitness = np.array(values)
    drawn = np.random.default_rng(seed).integers(0, len(values), size=(5, len(values)))
    counts = np.array([np.bincount(row, minlength=len(values)) for row in drawn])
    expected = [statistic.value(fitness[row]) for row in drawn]
    assert statistic.of_resamples(fitness, counts) == pytest.approx(expected, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("statistic", [MEAN, EXPECTED_MINIMUM_OF_8], ids=lambda statistic: statistic.name)
@given(
    st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20).flatmap(lambda v: st.tuples(st.just(v), st.permutations(v)))
)
@settings(max_examples=30)
def test_the_interval_does_not_depend_on_the_order_of_the_instances(statistic, pair):
    first, second = (statistic.interval(np.array(values), np.random.default_rng(1)) for values in pair)
    assert first == second
    assert first is not None
    assert first[0] <= first[1]
    assert min(pair[0]) - 1e-9 <= first[0]
    assert first[1] <= max(pair[0]) + 1e-9


def test_the_interval_of_a_mean_is_scipys():
    """Two ways of drawing the resamples: the ends agree as far as 20 000 of them determine them."""
    fitness = np.random.default_rng(3).gamma(2.0, size=60)
    low, high = MEAN.interval(fitness, np.random.default_rng(0))
    theirs = scipy.stats.bootstrap(
        (fitness,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert abs(low - theirs.low) < 0.05 * width
    assert abs(high - theirs.high) < 0.05 * width


@pytest.mark.parametrize(
    ("statistic", "true"),
    # The lowest of 8 exponential numbers of mean 1 is exponential of mean 1/8.
    [(MEAN, 1.0), (EXPECTED_MINIMUM_OF_8, 1 / 8)],
    ids=["mean", "expected minimum"],
)
def test_95_of_100_intervals_hold_the_true_value(statistic, true):
    generator = np.random.default_rng(12)
    held = 0
    for _ in range(200):
        low, high = statistic.interval(generator.exponential(size=100), generator)
        held += low <= true <= high
    # 95 % within the three standard errors of 200 draws, and a per cent less that a bootstrap of 100 may fall short.
    assert 0.90 <= held / 200 <= 0.99


def test_a_sample_without_spread_has_an_interval_without_width():
    assert MEAN.interval(np.full(5, 2.5), np.random.default_rng(0)) == (2.5, 2.5)


def test_the_jackknife_behind_the_acceleration_is_that_of_the_mean():
    """For a mean the acceleration is a sixth of the skewness over √n (Efron 1987, equation 6.6)."""
    fitness = np.sort(np.random.default_rng(5).gamma(1.0, size=40))
    (found,) = bootstraps([lambda counts: MEAN.of_resamples(fitness, counts)], 40, np.random.default_rng(0), 10)
    assert found.acceleration == pytest.approx(scipy.stats.skew(fitness) / (6 * math.sqrt(40)), rel=1e-9)


def test_the_summary_of_a_rule():
    fitness = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 6.0, 7.0, 8.0, 9.0])
    found = summary(EXPECTED_MINIMUM_OF_8, fitness, {"rate": np.arange(9.0), "odd": np.full(9, np.inf)}, 2.5)
    assert found["statistic"] == "expected_minimum_of_8"
    assert found["aggregate"] == pytest.approx((8 * 1 + 1 * 2) / 9)
    assert found["interval"][0] <= found["aggregate"] <= found["interval"][1]
    assert (found["mean"], found["n"], found["failures"]) == (5.0, 9, 2)
    assert found["standard_error"] == pytest.approx(scipy.stats.sem(fitness))
    assert found["quartiles"] == [3.0, 5.0, 7.0]
    assert found["metrics"] == {"rate": 4.0, "odd": None}


def test_one_instance_has_neither_standard_error_nor_interval():
    found = summary(MEAN, np.array([3.0]), {}, None)
    assert (found["aggregate"], found["mean"], found["n"]) == (3.0, 3.0, 1)
    assert (found["standard_error"], found["interval"], found["failures"]) == (None, None, None)


def test_a_rule_that_is_not_finite_somewhere_has_no_figures_but_its_failures():
    found = summary(MEAN, np.array([3.0, -math.inf, 1.0]), {}, 2.0, finite=False)
    assert (found["n"], found["failures"]) == (3, 2)
    assert {found[name] for name in ("aggregate", "mean", "standard_error")} == {None}
    assert (found["interval"], found["quartiles"]) == (None, None)
