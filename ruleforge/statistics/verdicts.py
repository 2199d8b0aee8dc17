"""Is a rule better than others on the same instances? Paired tests, corrected for their number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleforge.statistics.resampling import (
    CONFIDENCE,
    NORMAL,
    RESAMPLES_OF_INTERVAL,
    RESAMPLES_OF_TEST,
    Bootstrap,
    Reduction,
    bootstraps,
    exchange,
    sign_flip,
    skewness_corrected,
)
from ruleforge.statistics.searches import wilson
from ruleforge.statistics.statistic import Statistic

LEVEL = 0.05
# What `detectable` promises to see, in so many of 100 draws of the instances.
POWER = 0.8
NO_LEARNING = "no learning"
FAILURES = "failures"
TEST_OF_MEANS = "sign-flip permutation of paired differences, and a bootstrap corrected for their skewness"
TEST_OF_TAILS = "paired bootstrap, and exchange of the two rules"

# `not_worse`: of the distance from no learning to the best known rule, so much may be lost; from so many instances.
MARGIN = 0.1
LEAST_INSTANCES = 30


@dataclass(frozen=True)
class _Comparison:
    """One test before the correction; standard_error: of the difference; comparable: every fitness is finite."""

    against: str
    statistic: str
    difference: float
    interval: tuple[float, float] | None
    p: float
    standard_error: float
    test: str
    same: bool = False
    comparable: bool = True
    own_is_finite: bool = True


def verdicts(
    own: NDArray[np.float64],
    others: Mapping[str, NDArray[np.float64]],
    statistic: Statistic,
    failure_below: float | None,
    generator: np.random.Generator,
    same: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Compare a rule with others over the same instances; one JSON-ready row each, and one for failures.

    own, and each of the others: (n,) float64, −∞ where a rule gave no finite fitness: it ranks last there, behind
    anything that either rule reached anywhere, and is never better. same: names of others that are the rule itself,
    which need no test.

    Means are compared by a sign-flip permutation of the paired differences and, because that takes them to be
    symmetric, by a bootstrap that is corrected for skewness: the larger p counts. So it does of other statistics, which
    are compared by the paired bootstrap and by exchanging the two rules, as sign flips do. Numbers of failures are
    compared by McNemar's exact test (Psychometrika 12:153, 1947). p_corrected: after Holm (Scand. J. Stat. 6:65, 1979)
    over all rows. detectable: the smallest difference that is called better in POWER of all draws of n
    instances, at LEVEL corrected for all rows.
    """
    different = {name: other for name, other in others.items() if name not in same}
    compared = dict(zip(different, _compared(own, different, statistic, generator), strict=True))
    found: list[_Comparison] = []
    for name, other in others.items():
        found.append(compared.get(name) or _itself(name, statistic.name))
        if failure_below is not None:
            found.append(_itself(name, FAILURES) if name in same else _failures(name, own, other, failure_below))
    tested = [row for row in found if not row.same]
    corrected = dict(zip(map(id, tested), holm([row.p for row in tested]), strict=True))
    return [_row(row, len(own), corrected.get(id(row), 1.0), len(tested)) for row in found]


def _row(found: _Comparison, n: int, p_corrected: float, n_tests: int) -> dict[str, Any]:
    verdict = "not_distinguishable"
    if p_corrected < LEVEL and found.difference < 0:
        verdict = "worse"
    elif p_corrected < LEVEL and found.difference > 0 and found.own_is_finite:
        verdict = "better"
    shown = found.comparable
    return {
        "against": found.against,
        "statistic": found.statistic,
        "difference": found.difference if shown else None,
        "interval": list(found.interval) if shown and found.interval is not None else None,
        "n": n,
        "p": found.p,
        "p_corrected": p_corrected,
        "detectable": _detectable(found, n, LEVEL / max(n_tests, 1)) if shown else None,
        "test": found.test,
        "verdict": verdict,
    }


def _detectable(found: _Comparison, n: int, level: float) -> float | None:
    """The smallest difference that is seen in POWER of all draws of n instances; None if none is, or it is not known.

    By the normal approximation, from the standard error of the difference that was observed.
    """
    # So many signs must be alike for the most extreme pattern of them to be improbable enough.
    least_pairs = math.ceil(1 - math.log2(level))
    seen = (NORMAL.inv_cdf(1 - level / 2) + NORMAL.inv_cdf(POWER)) * found.standard_error
    if found.same or (found.statistic != FAILURES and seen == 0.0) or n < least_pairs:
        return None
    return max(seen, least_pairs / n) if found.statistic == FAILURES else seen


def _itself(name: str, statistic: str) -> _Comparison:
    return _Comparison(name, statistic, 0.0, (0.0, 0.0), 1.0, 0.0, "the same rule", same=True)


def _compared(
    own: NDArray[np.float64],
    others: Mapping[str, NDArray[np.float64]],
    statistic: Statistic,
    generator: np.random.Generator,
) -> list[_Comparison]:
    """One comparison of the statistic with each of the others, all over the same resamples of the instances."""
    rows = np.array([own, *others.values()])
    rows = rows[:, np.lexsort(rows[::-1])]  # in an order of their own, so that theirs makes no difference
    finite = np.isfinite(rows).all(axis=1)
    pairs = [_ranked_last(rows[[0, place]]) for place in range(1, len(rows))]
    drawn: list[Bootstrap | None] = [None] * len(pairs)
    if rows.shape[1] > 1 and pairs:
        resamples = RESAMPLES_OF_INTERVAL if statistic.is_mean else RESAMPLES_OF_TEST
        drawn = list(bootstraps([_difference(statistic, pair) for pair in pairs], rows.shape[1], generator, resamples))
    kind = TEST_OF_MEANS if statistic.is_mean else TEST_OF_TAILS
    found = []
    for place, (name, pair, resampled) in enumerate(zip(others, pairs, drawn, strict=True), 1):
        p = 1.0
        if resampled is not None:
            p = (
                _p_of_means(pair, generator)
                if statistic.is_mean
                else _p_of_tails(statistic, pair, resampled, generator)
            )
        found.append(
            _Comparison(
                name,
                statistic.name,
                statistic.value(pair[0]) - statistic.value(pair[1]),
                None if resampled is None else resampled.interval(),
                p,
                0.0 if resampled is None else resampled.standard_error,
                kind,
                comparable=bool(finite[0] and finite[place]),
                own_is_finite=bool(finite[0]),
            )
        )
    return found


def _p_of_means(pair: NDArray[np.float64], generator: np.random.Generator) -> float:
    """The larger p of two: flipped signs are exact where differences are symmetric, and too sure where they are not."""
    differences = pair[0] - pair[1]
    return max(sign_flip(differences, generator), skewness_corrected(differences, generator))


def _p_of_tails(
    statistic: Statistic, pair: NDArray[np.float64], drawn: Bootstrap, generator: np.random.Generator
) -> float:
    """The larger p of two: the bootstrap is too sure of rules that differ on a few instances alone."""
    return max(drawn.p(), exchange(lambda kept: statistic.of_exchanges(pair, kept), pair.shape[1], generator))


def _difference(statistic: Statistic, pair: NDArray[np.float64]) -> Reduction:
    """How much higher the statistic of the first of two rules is than that of the second, (2, n) float64."""
    return lambda counts: statistic.of_resamples(pair[0], counts) - statistic.of_resamples(pair[1], counts)


def _ranked_last(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows with what is not finite put below all that is: by the whole range that either rule reached."""
    finite = rows[np.isfinite(rows)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    return np.where(np.isfinite(rows), rows, low - (high - low))


def _failures(name: str, own: NDArray[np.float64], other: NDArray[np.float64], below: float) -> _Comparison:
    """The share of instances on which the other fails minus the rule's own: positive is better, as everywhere."""
    own_fails, other_fails = ~(own >= below), ~(other >= below)
    only_other, only_own = int(np.sum(other_fails & ~own_fails)), int(np.sum(own_fails & ~other_fails))
    both = int(np.sum(own_fails & other_fails))
    n = len(own)
    difference = (only_other - only_own) / n
    spread = (only_other + only_own) / n - difference**2
    return _Comparison(
        name,
        FAILURES,
        difference,
        paired_shares(both, only_other, only_own, n),
        mcnemar(only_other, only_own),
        math.sqrt(max(0.0, spread) / n),
        "McNemar, exact",
        own_is_finite=bool(np.isfinite(own).all()),
    )


def mcnemar(first: int, second: int) -> float:
    """Two-sided exact p of the hypothesis that discordant pairs are as often the one way as the other."""
    n = first + second
    tail = sum(math.comb(n, k) for k in range(min(first, second) + 1))
    return float(min(1.0, 2 * tail / 2**n))


def paired_shares(both: int, only_first: int, only_second: int, n: int) -> tuple[float, float]:
    """The 95 % interval of the difference of two shares of the same n (Newcombe, Stat. Med. 17:2635, 1998, method 10).

    It has a width where no pair is discordant, too.
    """
    first, second = (both + only_first) / n, (both + only_second) / n
    (low_1, high_1), (low_2, high_2) = wilson(both + only_first, n), wilson(both + only_second, n)
    neither = n - both - only_first - only_second
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    covered = both * neither - only_first * only_second
    # Corrected for continuity where the shares go together.
    covered_less = max(covered - n / 2, 0.0) if covered > 0 else float(covered)
    phi = covered_less / math.sqrt(margins) if margins else 0.0
    down = _squares(first - low_1, high_2 - second, phi)
    up = _squares(high_1 - first, second - low_2, phi)
    return first - second - down, first - second + up


def _squares(a: float, b: float, phi: float) -> float:
    return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))


def holm(p: Sequence[float]) -> list[float]:
    """Each p corrected for all of them, in their order (Holm 1979): reject those below the level wanted."""
    corrected = [1.0] * len(p)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=lambda place: p[place])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[place]))
        corrected[place] = largest
    return corrected


def standard_error(
    first: NDArray[np.float64], second: NDArray[np.float64], statistic: Statistic, generator: np.random.Generator
) -> float | None:
    """Of the difference of the statistic of two rules over the same instances, both (n,) float64 and finite.

    Of means from the paired differences, of other statistics by the paired bootstrap; None of a single instance.
    """
    n = len(first)
    if n < 2:
        return None
    if statistic.is_mean:
        return float(np.std(first - second, ddof=1)) / math.sqrt(n)
    pair = np.array([first, second])
    pair = pair[:, np.lexsort(pair[::-1])]
    (drawn,) = bootstraps([_difference(statistic, pair)], n, generator, RESAMPLES_OF_INTERVAL)
    return drawn.standard_error


def not_worse(
    own: NDArray[np.float64],
    best_known: NDArray[np.float64],
    no_learning: NDArray[np.float64],
    statistic: Statistic,
    generator: np.random.Generator,
) -> bool:
    """Whether a rule is not worse than the best known one: by less than MARGIN of what that one learns.

    All three (n,) float64, over the same instances. True if the lower end of the one-sided 95 % interval of the paired
    difference lies above −10 % of the distance from no learning to the best known rule. False for fewer than
    LEAST_INSTANCES, and for a rule that is not finite somewhere, which shows nothing.
    """
    n = len(own)
    if n < LEAST_INSTANCES or not np.isfinite(np.array([own, best_known, no_learning])).all():
        return False
    margin = MARGIN * max(0.0, statistic.value(best_known) - statistic.value(no_learning))
    pair = np.array([own, best_known])
    pair = pair[:, np.lexsort(pair[::-1])]
    (drawn,) = bootstraps([_difference(statistic, pair)], n, generator, RESAMPLES_OF_TEST)
    # The lower end of a one-sided interval is that of the two-sided one with twice the share outside.
    low, _ = drawn.interval(1 - 2 * (1 - CONFIDENCE))
    return bool(low > -margin)
