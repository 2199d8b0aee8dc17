"""Verdicts against worked examples, scipy, and what must not make a difference."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleforge.statistics import EXPECTED_MINIMUM_OF_8, MEAN, NO_LEARNING, not_worse, verdicts
from ruleforge.statistics.resampling import exchange, sign_flip, skewness_corrected
from ruleforge.statistics.verdicts import holm, mcnemar, paired_shares

KEYS = {
    *("against", "statistic", "difference", "interval", "n", "p", "p_corrected", "detectable", "test", "verdict"),
}
STATISTICS = pytest.mark.parametrize("statistic", [MEAN, EXPECTED_MINIMUM_OF_8], ids=lambda found: found.name)


def seeded(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("n", [2, 5, 9, 13])
def test_up_to_13_differences_p_is_exact(n):
    differences = seeded(n).normal(0.4, 1, n)
    theirs = scipy.stats.permutation_test(
        (differences,), lambda x: abs(np.sum(x)), permutation_type="samples", n_resamples=np.inf, alternative="greater"
    )
    assert sign_flip(differences, seeded()) == pytest.approx(theirs.pvalue, abs=1e-12)
    assert sign_flip(differences, seeded(1)) == sign_flip(differences, seeded(2))


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.3])
def test_of_more_differences_p_is_drawn_and_agrees_with_scipys(shift):
    differences = seeded(7).normal(shift, 1, 60)
    theirs = scipy.stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=50_000, rng=seeded(1)
    )
    assert sign_flip(differences, seeded()) == pytest.approx(theirs.pvalue, abs=0.02)


def test_differences_of_zero_say_nothing():
    assert sign_flip(np.zeros(20), seeded()) == 1.0
    differences = np.array([1.0, 2.0, 1.5, -0.2])
    assert sign_flip(np.concatenate([differences, np.zeros(30)]), seeded()) == sign_flip(differences, seeded())


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_binomial_test_of_the_discordant_pairs(first, second):
    expected = scipy.stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-12)


def test_holm_by_hand():
    """Sorted 0.005 · 4, 0.01 · 3, 0.03 · 2, 0.04 · 1, and none below the one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_lies_between_no_correction_and_bonferroni(p):
    for before, after in zip(p, holm(p), strict=True):
        assert before <= after <= min(1.0, before * len(p)) + 1e-15
    assert holm(p)[::-1] == holm(p[::-1])


@pytest.mark.parametrize(
    ("both", "only_first", "only_second", "n", "low", "high"),
    # Newcombe, Statistics in Medicine 17:2635 (1998), table III, method 10.
    [(36, 12, 2, 50, 0.0569, 0.3404)],
)
def test_the_interval_of_two_paired_shares_is_newcombes(both, only_first, only_second, n, low, high):
    assert paired_shares(both, only_first, only_second, n) == pytest.approx((low, high), abs=5e-4)


@given(st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(lambda cells: sum(cells) > 0))
def test_the_interval_of_two_paired_shares_holds_their_difference_and_turns_with_it(cells):
    both, first, second, _ = cells
    n = sum(cells)
    low, high = paired_shares(both, first, second, n)
    assert -1 - 1e-9 <= low <= (first - second) / n + 1e-9
    assert (first - second) / n - 1e-9 <= high <= 1 + 1e-9
    assert paired_shares(both, second, first, n) == pytest.approx((-high, -low), abs=1e-9)


@STATISTICS
def test_a_shift_of_all_instances_is_seen_in_its_direction(statistic):
    own = seeded(1).normal(10, 2, 100)
    others = {"above": own + 1 + seeded(2).normal(0, 0.1, 100), "below": own - 1, NO_LEARNING: own - 20}
    rows = verdicts(own, others, statistic, None, seeded())
    assert [row["verdict"] for row in rows] == ["worse", "better", "better"]
    assert [row["against"] for row in rows] == list(others)
    for row in rows:
        assert row.keys() == KEYS
        assert (row["n"], row["statistic"]) == (100, statistic.name)
        assert row["interval"][0] <= row["difference"] <= row["interval"][1]
        assert row["p"] <= row["p_corrected"] < 0.05
    assert rows[1]["difference"] == pytest.approx(1.0)


def test_mean_and_tail_may_disagree():
    """A rule that is better on average and fails on a few: better by its mean, worse by its tail and failures."""
    other = seeded(3).normal(8, 0.5, 100)
    own = other + 3
    own[:15] = 1.0
    (by_mean,) = verdicts(own, {"it": other}, MEAN, None, seeded())
    by_tail, failures = verdicts(own, {"it": other}, EXPECTED_MINIMUM_OF_8, 3.0, seeded())
    assert (by_mean["verdict"], by_tail["verdict"], failures["verdict"]) == ("better", "worse", "worse")
    assert (failures["statistic"], failures["difference"]) == ("failures", -0.15)
    assert failures["p"] == pytest.approx(2 / 2**15)


@STATISTICS
@settings(max_examples=20)
@given(order=st.permutations(list(range(20))), seed=st.integers(0, 1000))
def test_the_order_of_the_instances_makes_no_difference(statistic, order, seed):
    own = np.round(seeded(seed).normal(1, 2, 20), 1)
    others = {name: np.round(seeded(seed + k).normal(0, 2, 20), 1) for k, name in enumerate("abc", 1)}
    first = verdicts(own, others, statistic, 0.0, seeded(9))
    second = verdicts(own[order], {name: other[order] for name, other in others.items()}, statistic, 0.0, seeded(9))
    assert first == second


@STATISTICS
def test_the_same_seed_gives_the_same_bits_and_another_one_nearly_the_same(statistic):
    own, other = seeded(1).normal(1, 2, 100), seeded(2).normal(0.5, 2, 100)
    first, again, another = (verdicts(own, {"it": other}, statistic, None, seeded(seed))[0] for seed in (4, 4, 5))
    assert first == again
    assert first["p"] != another["p"]
    assert first["p"] == pytest.approx(another["p"], abs=0.03)


@STATISTICS
def test_swapping_two_rules_turns_the_verdict_round(statistic):
    own, other = seeded(1).normal(2, 2, 100), seeded(2).normal(0, 2, 100)
    (forth,), (back,) = (verdicts(a, {"it": b}, statistic, None, seeded()) for a, b in ((own, other), (other, own)))
    assert forth["difference"] == pytest.approx(-back["difference"], rel=1e-12)
    assert (forth["verdict"], back["verdict"]) == ("better", "worse")


@STATISTICS
@pytest.mark.parametrize("broken", [-math.inf, math.nan, math.inf])
def test_a_rule_with_a_non_finite_instance_is_never_better(statistic, broken):
    own = seeded(1).normal(50, 1, 100)
    others = {"weak": own - 30, "strong": own + 30, "broken": np.full(100, -math.inf)}
    whole = [row["verdict"] for row in verdicts(own, others, statistic, None, seeded())]
    assert whole == ["better", "worse", "better"]
    own[7] = broken
    rows = verdicts(own, others, statistic, 10.0, seeded())
    assert "better" not in {row["verdict"] for row in rows}
    assert {row["verdict"] for row in rows if row["against"] == "strong" and row["statistic"] != "failures"} == {
        "worse"
    }
    assert all(row["difference"] is None for row in rows if row["statistic"] != "failures")


def test_one_that_is_not_finite_ranks_behind_all_others_there():
    """Where the other is not finite it is put below everything, and one such instance of 100 decides nothing."""
    own = seeded(1).normal(0, 1, 100)
    other = own.copy()
    other[0] = -math.inf
    (row,) = verdicts(own, {"it": other}, MEAN, None, seeded())
    assert (row["verdict"], row["p"]) == ("not_distinguishable", 1.0)


def test_the_rule_itself_needs_no_test_and_costs_none():
    own = seeded(1).normal(1, 1, 100)
    others = {"a": own - 0.3, "b": seeded(2).normal(0.6, 1, 100)}
    alone = verdicts(own, others, MEAN, 0.0, seeded())
    rows = verdicts(own, {"itself": own, **others}, MEAN, 0.0, seeded(), same=["itself"])
    assert rows[2:] == alone
    for row in rows[:2]:
        assert (row["difference"], row["p"], row["p_corrected"], row["verdict"]) == (0, 1, 1, "not_distinguishable")


@pytest.mark.parametrize("n", [1, 2, 4])
def test_too_few_instances_show_nothing_and_say_so(n):
    rows = verdicts(np.full(n, 5.0) + np.arange(n), {"it": np.zeros(n)}, MEAN, 1.0, seeded())
    assert {row["verdict"] for row in rows} == {"not_distinguishable"}
    assert {row["detectable"] for row in rows} == {None}


def test_what_is_said_to_be_detectable_is_seen_in_four_of_five_draws():
    generator = seeded(8)
    seen = 0
    detectable = verdicts(generator.normal(0, 2, 2000), {"it": np.zeros(2000)}, MEAN, None, generator)[0]["detectable"]
    shift = detectable * math.sqrt(20)  # for a hundred instead of two thousand
    for _ in range(100):
        (row,) = verdicts(generator.normal(shift, 2, 100), {"it": np.zeros(100)}, MEAN, None, generator)
        seen += row["verdict"] == "better"
    assert 0.68 <= seen / 100 <= 0.92


@STATISTICS
def test_exchangeable_rules_are_rarely_called_better(statistic):
    """Each instance's two scores are swapped at random, which makes any two rules equally good."""
    generator = seeded(11)
    a, b = generator.gamma(4, 2, 1000), generator.gamma(3, 2, 1000)
    better = 0
    for _ in range(60):
        chosen = generator.integers(0, 1000, 100)
        swapped = generator.integers(0, 2, 100) == 1
        first, second = np.where(swapped, a[chosen], b[chosen]), np.where(swapped, b[chosen], a[chosen])
        (row,) = verdicts(first, {"it": second}, statistic, None, generator)
        better += row["verdict"] == "better"
    # Of 60 draws at 2.5 % more than 6 are improbable (p < 0.001); benchmarks/calibration.py takes 1000.
    assert better <= 6


@STATISTICS
def test_not_worse_by_a_tenth_of_what_the_best_known_rule_learns(statistic):
    none = seeded(1).normal(0, 1, 100)
    best = none + 100
    assert not_worse(best, best, none, statistic, seeded())
    assert not_worse(best + 1, best, none, statistic, seeded())
    assert not_worse(best - 9.5, best, none, statistic, seeded())
    assert not not_worse(best - 10.5, best, none, statistic, seeded())
    assert not not_worse(none, best, none, statistic, seeded())


def test_not_worse_goes_by_the_interval_and_not_by_the_estimate():
    none, best = np.zeros(100), np.full(100, 100.0)
    noise = seeded(4).normal(0, 1, 100)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    # The standard error is 3, the lower end 1.645 of them below −6, and the margin −10.
    assert not not_worse(best - 6 + 30 * noise, best, none, MEAN, seeded())
    assert not_worse(best - 4 + 30 * noise, best, none, MEAN, seeded())


@pytest.mark.parametrize("broken", [-math.inf, math.nan])
def test_not_worse_needs_30_finite_instances(broken):
    none, best = np.zeros(30), np.full(30, 100.0)
    assert not_worse(best + 1, best, none, MEAN, seeded())
    assert not not_worse(best[:29] + 1, best[:29], none[:29], MEAN, seeded())
    own = best + 1
    own[3] = broken
    assert not not_worse(own, best, none, MEAN, seeded())


def test_where_the_known_rules_learn_nothing_there_is_no_margin():
    none, best = np.zeros(50), np.full(50, -5.0)
    assert not not_worse(best - 0.1, best, none, MEAN, seeded())
    assert not_worse(best + 0.1, best, none, MEAN, seeded())


@STATISTICS
@given(values=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=9))
def test_every_exchange_is_the_statistic_of_what_each_rule_has_then(statistic, values):
    pair = np.array(values, dtype=np.float64).T
    n = pair.shape[1]
    kept = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1
    expected = [
        statistic.value(np.where(each, *pair)) - statistic.value(np.where(each, pair[1], pair[0])) for each in kept
    ]
    assert statistic.of_exchanges(pair, kept) == pytest.approx(expected, abs=1e-12)


@given(values=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=13))
def test_exchanging_two_rules_is_flipping_signs_where_the_mean_is_the_statistic(values):
    pair = np.array(values, dtype=np.float64).T
    found = exchange(lambda kept: MEAN.of_exchanges(pair, kept), pair.shape[1], seeded())
    assert found == pytest.approx(sign_flip(pair[0] - pair[1], seeded()), abs=1e-12)


def test_p_of_skew_differences_with_mean_0_is_small_as_often_as_it_says():
    """Where flipped signs are too sure of themselves: of exponential differences, the long tail towards one side."""
    draws = [seeded(k).exponential(1, 50) - 1 for k in range(400)]
    flipped = [sign_flip(each, seeded(1)) < 0.05 and each.mean() < 0 for each in draws]
    corrected = [skewness_corrected(each, seeded(1)) < 0.05 and each.mean() < 0 for each in draws]
    assert sum(flipped) > 0.045 * 400
    assert sum(corrected) <= 0.04 * 400


def test_p_of_symmetric_differences_is_that_of_flipped_signs_nearly():
    for seed in range(10):
        differences = seeded(seed).normal(0.2, 1, 80)
        both = sign_flip(differences, seeded(1)), skewness_corrected(differences, seeded(1))
        assert both[0] == pytest.approx(both[1], abs=0.04)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([0.0] * 9, 1.0),
        ([1.0] * 9, 2 / 10_001),
        ([-1e300] * 9, 2 / 10_001),
        ([3.0], 2 / 10_001),
        ([0.1 + 0.2, 0.3, 0.3], 2 / 10_001),
    ],
)
def test_p_of_differences_without_spread(differences, p):
    assert skewness_corrected(np.array(differences), seeded()) == p


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=12), st.sampled_from([1e-200, 1e-3, 1.0, 1e150]))
@settings(max_examples=30)
def test_p_of_skew_differences_is_a_p_and_the_same_in_any_unit(values, unit):
    differences = np.array(values, dtype=np.float64)
    found = skewness_corrected(differences, seeded())
    assert 0 < found <= 1
    assert skewness_corrected(differences * unit, seeded()) == pytest.approx(found, abs=1e-3)


def test_two_rules_that_differ_on_few_instances_are_called_better_no_more_often_than_the_level_says():
    """Where the bootstrap alone errs in a quarter of all draws: either is ahead on a few instances of 100."""
    said = 0
    for draw in range(60):
        generator = seeded(draw)
        common = generator.normal(3, 1, 100)
        ahead = np.where(generator.random(100) < 0.03, generator.exponential(0.2, 100), 1e-4)
        swapped = generator.integers(0, 2, 100) == 1
        own, other = common + np.where(swapped, ahead, 0.0), common + np.where(swapped, 0.0, ahead)
        (row,) = verdicts(own, {"it": other}, EXPECTED_MINIMUM_OF_8, None, generator)
        said += row["verdict"] != "not_distinguishable"
    assert said <= 7  # of 60, where 3 are expected: more come in one of 100
