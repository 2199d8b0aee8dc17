"""Statistics of repeated searches: how often they succeed, after how many evaluations, and whether two differ."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Two-sided 95 % of the normal distribution.
Z = 1.959963984540054
CONFIDENCE = 0.95
# Probabilities that differ by less count as equal, as in R's fisher.test.
ALIKE = 1 + 1e-7


def wilson(successes: int, n: int) -> list[float]:
    """The 95 % interval of a success rate, which stays inside [0, 1] and works for 0 of n (Wilson 1927)."""
    rate = successes / n
    middle = (rate + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(rate * (1 - rate) / n + Z * Z / (4 * n * n))
    return [max(0.0, middle - half), min(1.0, middle + half)]


def clopper_pearson(successes: int, n: int) -> list[float]:
    """The exact 95 % interval of a success rate, never too narrow (Clopper & Pearson, Biometrika 26:404, 1934)."""
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if successes == 0 else _root(lambda p: _at_least(successes, n, p) - tail)
    high = 1.0 if successes == n else _root(lambda p: tail - (1 - _at_least(successes + 1, n, p)))
    return [low, high]


def _at_least(k: int, n: int, p: float) -> float:
    """Probability of k or more successes of n."""
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


def _root(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def fisher_exact(successes: int, n: int, other_successes: int, other_n: int) -> float:
    """Two-sided p of the hypothesis that two success rates are equal (Fisher 1934): tables no more probable count."""
    total, both = n + other_n, successes + other_successes

    def probability(first: int) -> float:
        return math.comb(n, first) * math.comb(other_n, both - first) / math.comb(total, both)

    observed = probability(successes)
    possible = range(max(0, both - other_n), min(n, both) + 1)
    return min(1.0, math.fsum(p for p in map(probability, possible) if p <= observed * ALIKE))


@dataclass(frozen=True)
class Times:
    """Evaluations to the solution: `reached` of those that found it, `censored`: where the others were given up."""

    reached: tuple[float, ...]
    censored: tuple[float, ...] = ()

    @property
    def n(self) -> int:
        """How many searches."""
        return len(self.reached) + len(self.censored)


def quartiles(times: Times) -> list[float | None]:
    """Lower quartile, median, upper quartile of all searches.

    The smallest number by which at least that share had found it, None where fewer did: right as long as nobody was
    given up before the others found it.
    """
    ordered = sorted(times.reached)
    places = [math.ceil(share * times.n) - 1 for share in (0.25, 0.5, 0.75)]
    return [ordered[place] if 0 <= place < len(ordered) else None for place in places]


def distribution(times: Times) -> list[tuple[float, float]]:
    """The steps of the share that has found it, as (evaluations, share): Kaplan & Meier 1958, which knows censoring.

    Where nobody was given up before, it is the empirical distribution function.
    """
    steps: list[tuple[float, float]] = []
    left = 1.0
    for moment in sorted(set(times.reached)):
        at_risk = sum(t >= moment for t in (*times.reached, *times.censored))
        left *= 1 - times.reached.count(moment) / at_risk
        steps.append((moment, 1 - left))
    return steps


def log_rank(first: Times, second: Times) -> tuple[float, float]:
    """χ² with one degree of freedom, and p, of the hypothesis that both find it equally fast (Mantel 1966).

    Ties are taken together; (0, 1) where nobody found it, or all at once.
    """
    difference = variance = 0.0
    for moment in sorted({*first.reached, *second.reached}):
        at_risk = [sum(t >= moment for t in (*times.reached, *times.censored)) for times in (first, second)]
        found = first.reached.count(moment) + second.reached.count(moment)
        total = sum(at_risk)
        difference += first.reached.count(moment) - found * at_risk[0] / total
        if total > 1:
            variance += found * (at_risk[0] / total) * (at_risk[1] / total) * (total - found) / (total - 1)
    if variance == 0.0:
        return 0.0, 1.0
    chi_square = difference * difference / variance
    return chi_square, math.erfc(math.sqrt(chi_square / 2))


def paired(first: Sequence[float], second: Sequence[float]) -> tuple[float, float | None]:
    """Mean of first − second over common instances, and its standard error (None of a single one)."""
    differences = [a - b for a, b in zip(first, second, strict=True)]
    n = len(differences)
    return statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(n) if n > 1 else None
