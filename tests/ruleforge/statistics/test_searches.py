"""Statistics of searches, against published values."""

from __future__ import annotations

import math

import pytest

from ruleforge.statistics.searches import (
    Times,
    clopper_pearson,
    distribution,
    fisher_exact,
    log_rank,
    paired,
    quartiles,
    wilson,
)

# Newcombe, Statistics in Medicine 17:857 (1998), table I: successes, n, score method without continuity correction
# (Wilson), "exact" method (Clopper & Pearson).
NEWCOMBE_1998 = [
    (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
    (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
    (0, 20, (0.0000, 0.1611), (0.0000, 0.1684)),
    (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
]
# Freireich et al., Blood 21:699 (1963): weeks of remission of leukaemia, as in Kalbfleisch & Prentice's textbook.
TREATED = Times((6, 6, 6, 7, 10, 13, 16, 22, 23), (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35))
PLACEBO = Times((1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23))


@pytest.mark.parametrize(("successes", "n", "score", "exact"), NEWCOMBE_1998)
def test_intervals_of_a_rate(successes, n, score, exact):
    assert wilson(successes, n) == pytest.approx(score, abs=5e-5)
    assert clopper_pearson(successes, n) == pytest.approx(exact, abs=5e-5)
    mirrored = [1 - bound for bound in reversed(clopper_pearson(n - successes, n))]
    assert mirrored == pytest.approx(clopper_pearson(successes, n), abs=1e-12)


def test_fisher_of_the_lady_tasting_tea():
    """Fisher, The Design of Experiments (1935): four cups of eight; two-sided as R's documentation of fisher.test."""
    assert fisher_exact(3, 4, 1, 4) == pytest.approx(0.4857, abs=5e-5)
    assert fisher_exact(4, 4, 0, 4) == pytest.approx(2 / 70)
    assert fisher_exact(2, 4, 2, 4) == pytest.approx(1.0)


def test_fisher_of_the_convicts():
    """Fisher 1935: 2 of 15 and 10 of 12; p = 0.0005367 in R's documentation of fisher.test."""
    assert fisher_exact(10, 13, 2, 17) == pytest.approx(0.0005367, abs=5e-8)
    assert fisher_exact(2, 17, 10, 13) == fisher_exact(10, 13, 2, 17)


def test_log_rank_of_the_leukaemia_trial():
    """χ² = 16.79 in the textbooks (Kleinbaum & Klein, Survival Analysis, chapter 2)."""
    chi_square, p = log_rank(TREATED, PLACEBO)
    assert chi_square == pytest.approx(16.79, abs=0.005)
    assert p == pytest.approx(4.17e-5, rel=0.01)
    assert log_rank(PLACEBO, TREATED) == pytest.approx((chi_square, p))


def test_log_rank_of_what_tells_nothing():
    assert log_rank(Times((), (9, 9)), Times((), (9,))) == (0.0, 1.0)
    assert log_rank(PLACEBO, PLACEBO) == (0.0, 1.0)


def test_kaplan_meier_of_the_leukaemia_trial():
    """Kleinbaum & Klein, chapter 2: 0.8571 in remission after 6 weeks, 0.4482 after 23."""
    steps = dict(distribution(TREATED))
    assert steps[6] == pytest.approx(1 - 0.8571, abs=5e-5)
    assert steps[23] == pytest.approx(1 - 0.4482, abs=5e-5)


def test_without_censoring_the_distribution_counts():
    steps = distribution(Times((3, 1, 3, 2)))
    assert [moment for moment, _ in steps] == [1, 2, 3]
    assert [share for _, share in steps] == pytest.approx([0.25, 0.5, 1.0])


def test_quartiles_lie_beyond_where_too_few_found_it():
    assert quartiles(Times((4, 2, 1, 3))) == [1, 2, 3]
    assert quartiles(Times((5,), (9, 9, 9))) == [5, None, None]
    assert quartiles(Times((), (9,))) == [None, None, None]


def test_paired_differences():
    mean, error = paired([3.0, 5.0, 8.0], [1.0, 2.0, 4.0])
    assert mean == 3.0
    assert error == pytest.approx(1 / math.sqrt(3))
    assert paired([1.0], [3.0]) == (-2.0, None)
