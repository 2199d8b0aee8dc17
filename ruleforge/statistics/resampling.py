"""Bootstrap and permutation: what a sample says about a statistic, without assuming a distribution.

Generators are passed in; the same generator and sample give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

NORMAL = NormalDist()
CONFIDENCE = 0.95
# Resamples behind an interval alone, and behind a p that is corrected for many comparisons.
RESAMPLES_OF_INTERVAL = 2000
RESAMPLES_OF_TEST = 10_000
# Up to so many differences all sign patterns are gone through: 2**13 are fewer than RESAMPLES_OF_TEST.
EXACT_UP_TO = 13
# Numbers drawn at once, which bounds the memory whatever the sample.
AT_ONCE = 2_000_000
# Sums that differ by less than rounding count as equal.
ALIKE = 1e-12

# How often each row was drawn, (n_resamples, n) int64, → a statistic of each resample, (n_resamples,) float64.
Reduction = Callable[[NDArray[np.int64]], NDArray[np.float64]]
# On which instances each of two rules keeps its own fitness, (n_exchanges, n) bool, → their difference, (n_exchanges,).
Exchange = Callable[[NDArray[np.bool_]], NDArray[np.float64]]


@dataclass(frozen=True)
class Bootstrap:
    """A statistic of a sample, bias-corrected and accelerated (Efron, J. Am. Stat. Assoc. 82:171, 1987).

    estimate: of the sample itself; replicates: (n_resamples,) float64, ascending, of samples drawn from it with
    replacement; acceleration: how the standard error changes with the statistic, from leaving out one row at a time.
    """

    estimate: float
    replicates: NDArray[np.float64]
    acceleration: float

    @property
    def standard_error(self) -> float:
        """The standard deviation of the replicates."""
        return float(np.std(self.replicates, ddof=1))

    @property
    def degenerate(self) -> bool:
        """Every replicate is the same number, but for rounding: the sample says nothing about its spread."""
        return bool(self.replicates[-1] - self.replicates[0] <= ALIKE * abs(self.estimate))

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The two-sided interval, (estimate, estimate) if degenerate."""
        if self.degenerate:
            return self.estimate, self.estimate
        tail = (1 - confidence) / 2
        low, high = np.quantile(self.replicates, [self._corrected(tail), self._corrected(1 - tail)])
        return float(low), float(high)

    def p(self) -> float:
        """Two-sided p of the hypothesis that the statistic is 0: 1 − the confidence whose interval just reaches 0."""
        least = 2 / (len(self.replicates) + 1)
        if self.degenerate:
            return 1.0 if self.estimate == 0.0 else least
        share = self._share_below(0.0)
        bias = self._bias
        distance = NORMAL.inv_cdf(share) - bias
        stretch = 1 + self.acceleration * distance
        below = NORMAL.cdf(distance / stretch - bias) if stretch > 0 else share
        # No p is smaller than the number of resamples can show.
        return min(1.0, max(2 * min(below, 1 - below), least))

    @property
    def _bias(self) -> float:
        return NORMAL.inv_cdf(self._share_below(self.estimate))

    def _share_below(self, value: float) -> float:
        """Share of the replicates below a value, those equal to it counted half; strictly between 0 and 1."""
        below = np.searchsorted(self.replicates, value, "left")
        equal = np.searchsorted(self.replicates, value, "right") - below
        n = len(self.replicates)
        return float((below + equal / 2 + 0.5) / (n + 1))

    def _corrected(self, level: float) -> float:
        """The quantile of the replicates that stands for a level."""
        bias = self._bias
        shifted = bias + NORMAL.inv_cdf(level)
        stretch = 1 - self.acceleration * shifted
        return NORMAL.cdf(bias + shifted / stretch) if stretch > 0 else level


def bootstraps(
    reductions: Sequence[Reduction], n: int, generator: np.random.Generator, n_resamples: int
) -> list[Bootstrap]:
    """Bootstrap several statistics of n ≥ 2 rows, all over the same resamples.

    A resample is how often each row was drawn: a reduction takes (n_resamples, n) int64, whose rows have equal sums,
    and gives (n_resamples,) float64.
    """
    replicates = np.empty((len(reductions), n_resamples))
    for begin, counts in _drawn(n, n_resamples, generator):
        for place, reduction in enumerate(reductions):
            replicates[place, begin : begin + len(counts)] = reduction(counts)
    left_out = np.empty((len(reductions), n))
    for begin, end in _shares(n, n):
        counts = (np.arange(n) != np.arange(begin, end)[:, None]).astype(np.int64)
        for place, reduction in enumerate(reductions):
            left_out[place, begin:end] = reduction(counts)
    once = np.ones((1, n), dtype=np.int64)
    return [
        Bootstrap(float(reduction(once)[0]), np.sort(drawn_values), _acceleration(left_out_values))
        for reduction, drawn_values, left_out_values in zip(reductions, replicates, left_out, strict=True)
    ]


def _drawn(n: int, n_resamples: int, generator: np.random.Generator) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """How often each of n rows is drawn: the number of the first resample, and (n_resamples at once, n) counts."""
    for begin, end in _shares(n_resamples, n):
        rows = generator.integers(0, n, size=(end - begin, n), dtype=np.int64) + n * np.arange(end - begin)[:, None]
        yield begin, np.bincount(rows.ravel(), minlength=(end - begin) * n).reshape(-1, n)


def _shares(n_resamples: int, n: int) -> Iterator[tuple[int, int]]:
    """Ranges of resamples that are drawn at once."""
    step = max(1, AT_ONCE // n)
    return ((begin, min(begin + step, n_resamples)) for begin in range(0, n_resamples, step))


def _acceleration(left_out: NDArray[np.float64]) -> float:
    """From the statistic without each row in turn, (n,) float64: a sixth of the skewness of its influences."""
    from_mean = left_out.mean() - left_out
    largest = float(np.abs(from_mean).max())
    if largest == 0.0:
        return 0.0
    influences = from_mean / largest  # so that no power of them is lost
    return float(np.sum(influences**3) / (6 * np.sum(influences**2) ** 1.5))


def sign_flip(differences: NDArray[np.float64], generator: np.random.Generator) -> float:
    """Two-sided p of the hypothesis that differences, (n,) float64, are symmetric about 0, by their mean.

    Under it every pattern of signs is equally probable (Fisher 1935): all are gone through up to EXACT_UP_TO
    differences, else RESAMPLES_OF_TEST drawn ones, the observed one counted in.
    """
    sizes = np.sort(np.abs(differences))
    sizes = sizes[sizes > 0]
    observed = abs(float(np.sum(np.sort(differences))))
    limit = observed - ALIKE * float(np.sum(sizes))
    n = len(sizes)
    if n == 0:
        return 1.0
    if n <= EXACT_UP_TO:
        patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float(np.mean(np.abs(np.where(patterns == 1, sizes, -sizes).sum(axis=1)) >= limit))
    extreme = 0
    for begin, end in _shares(RESAMPLES_OF_TEST, n):
        signs = generator.integers(0, 2, size=(end - begin, n), dtype=np.int8)
        extreme += int(np.sum(np.abs(np.where(signs == 1, sizes, -sizes).sum(axis=1)) >= limit))
    return (extreme + 1) / (RESAMPLES_OF_TEST + 1)


def exchange(difference: Exchange, n: int, generator: np.random.Generator) -> float:
    """Two-sided p of the hypothesis that two rules are alike: on each instance either could have had either fitness.

    Their difference is compared with that after every way to exchange them on some of the n instances, up to
    EXACT_UP_TO of these, else after RESAMPLES_OF_TEST drawn ones, the observed one counted in. Of means it is
    `sign_flip`.
    """
    limit = abs(float(difference(np.ones((1, n), dtype=bool))[0])) * (1 - ALIKE)
    exact = n <= EXACT_UP_TO
    total = 2**n if exact else RESAMPLES_OF_TEST
    extreme = 0
    for begin, end in _shares(total, 2 * n):
        if exact:
            kept = (np.arange(begin, end)[:, None] >> np.arange(n)) & 1 == 1
        else:
            kept = generator.integers(0, 2, size=(end - begin, n), dtype=np.int8) == 1
        extreme += int(np.sum(np.abs(difference(kept)) >= limit))
    return extreme / total if exact else (extreme + 1) / (total + 1)


def skewness_corrected(differences: NDArray[np.float64], generator: np.random.Generator) -> float:
    """Two-sided p of the hypothesis that differences, (n,) float64, have mean 0, however skew they are.

    The mean in standard deviations is transformed until its skewness is gone (Hall, J. R. Stat. Soc. B 54:221, 1992),
    and compared with the same of RESAMPLES_OF_TEST samples that are drawn from the differences about their own mean.
    """
    n = len(differences)
    centred = np.sort(differences)
    largest = float(np.max(np.abs(centred)))
    if largest == 0.0:
        return 1.0
    centred = centred / largest  # so that no power of them is lost
    mean = float(np.sum(centred)) / n
    centred = centred - mean
    spread = math.sqrt(float(np.sum(centred**2)) / n)
    if spread <= ALIKE * abs(mean) or spread == 0.0:
        return 1.0 if mean == 0.0 else 2 / (RESAMPLES_OF_TEST + 1)
    centred /= spread
    ones = np.ones((1, n), dtype=np.int64)
    observed = float(_transformed(centred, ones, mean / spread)[0])
    below = above = 0
    for _, counts in _drawn(n, RESAMPLES_OF_TEST, generator):
        replicates = _transformed(centred, counts)
        below += int(np.sum(replicates <= observed))
        above += int(np.sum(replicates >= observed))
    return min(1.0, 2 * (min(below, above) + 1) / (RESAMPLES_OF_TEST + 1))


def _transformed(centred: NDArray[np.float64], counts: NDArray[np.int64], shift: float = 0.0) -> NDArray[np.float64]:
    """Hall's cubic transformation of the mean in standard deviations, t, of each resample, (n_resamples,) float64.

    It is t + γt²/3 + γ²t³/27 + γ/6n with γ the resample's own skewness; ±∞ where all that was drawn is alike.
    """
    n = len(centred)
    mean = np.sum(counts * centred, axis=1) / n
    second = np.sum(counts * centred**2, axis=1) / n - mean**2
    third = np.sum(counts * centred**3, axis=1) / n - 3 * mean * second - mean**3
    deviation = np.sqrt(np.maximum(second, 0.0))
    alike = deviation <= ALIKE
    divisor = np.where(alike, 1.0, deviation)
    t, skewness = (mean + shift) / divisor, third / divisor**3
    value = t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / (6 * n)
    sign = np.sign(mean + shift)
    return np.where(alike, np.where(sign == 0.0, 0.0, np.copysign(np.inf, sign)), value)
