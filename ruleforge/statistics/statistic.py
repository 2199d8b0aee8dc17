"""The one number that a family's fitness on unseen instances is shown, sorted, compared and chosen by."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleforge.statistics.resampling import CONFIDENCE, RESAMPLES_OF_INTERVAL, bootstraps

# Of the resamples behind an interval, so that it is a function of the scores alone.
INTERVAL_SEED = 0


@dataclass(frozen=True)
class Statistic:
    """A weighted sum of the fitness of all instances in ascending order: the mean, or one that looks at the low end.

    name: in JSON; title: at the head of a table; meaning: a phrase; weights: n → (n,) float64 with sum 1, for the
    lowest fitness first; None weighs all alike.
    """

    name: str
    title: str
    meaning: str
    weights: Callable[[int], NDArray[np.float64]] | None = field(default=None, compare=False)

    @property
    def is_mean(self) -> bool:
        """Whether it is the plain mean."""
        return self.weights is None

    def value(self, fitness: NDArray[np.float64]) -> float:
        """Of the fitness per instance, (n,) float64, finite, n ≥ 1."""
        if self.weights is None:
            return float(np.mean(fitness))
        return float(np.sum(np.sort(fitness) * self.weights(len(fitness))))

    def of_resamples(self, fitness: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of samples in which each instance stands as often as `counts` says, without writing them out.

        fitness: (n,) float64; counts: (n_resamples, n) int64, rows of equal sums; the result: (n_resamples,) float64.
        """
        size = int(counts[0].sum())
        # Products and sums, not matrix products, whose last bits depend on the library that does them.
        if self.weights is None:
            return np.asarray(np.sum(counts * fitness, axis=1) / size)
        order = np.argsort(fitness, kind="stable")
        up_to = self._weight_up_to(size)[np.cumsum(counts[:, order], axis=1)]
        gaps = np.diff(fitness[order])
        return np.asarray(fitness[order[-1]] * up_to[:, -1] - np.sum(up_to[:, :-1] * gaps, axis=1))

    def of_exchanges(self, pair: NDArray[np.float64], kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """How much higher the first of two rules is, once they are exchanged on the instances that are not kept.

        pair: (2, n) float64; kept: (n_exchanges, n); the result: (n_exchanges,) float64.
        """
        if self.weights is None:
            differences = pair[0] - pair[1]
            return np.asarray(np.sum(np.where(kept, differences, -differences), axis=1) / len(differences))
        n = pair.shape[1]
        both = np.concatenate(pair)
        order = np.argsort(both, kind="stable")
        weight = self._weight_up_to(n)
        own = np.cumsum(np.concatenate([kept, ~kept], axis=1)[:, order[:-1]], axis=1, dtype=np.intp)
        # What the first does not have of the lowest 1, 2, … of both, the second has; with all of both each has n.
        ahead = weight[np.arange(1, 2 * n) - own] - weight[own]
        return np.asarray(np.sum(ahead * np.diff(both[order]), axis=1))

    def _weight_up_to(self, size: int) -> NDArray[np.float64]:
        """Sum of the weights of the lowest 0, 1, … size, (size + 1,) float64."""
        assert self.weights is not None
        return np.concatenate([[0.0], np.cumsum(self.weights(size))])

    def interval(
        self, fitness: NDArray[np.float64], generator: np.random.Generator, confidence: float = CONFIDENCE
    ) -> tuple[float, float] | None:
        """The bootstrap interval (bias-corrected, accelerated) of the value; None of a single instance.

        fitness: (n,) float64, finite, in any order: it makes no difference.
        """
        if len(fitness) < 2:
            return None
        ordered = np.sort(fitness)
        (found,) = bootstraps(
            [lambda counts: self.of_resamples(ordered, counts)], len(ordered), generator, RESAMPLES_OF_INTERVAL
        )
        return found.interval(confidence)


@functools.cache
def _expected_minimum_of_8(n: int) -> NDArray[np.float64]:
    """Hypergeometric: of all subsets of 8, the share whose lowest member is that of rank 0, 1, …"""
    subset = min(8, n)
    all_subsets = math.comb(n, subset)
    # Quotients of whole numbers, which Python divides without rounding twice.
    weights = np.array([math.comb(n - rank - 1, subset - 1) / all_subsets for rank in range(n)])
    weights.setflags(write=False)
    return weights


MEAN = Statistic("mean", "mean", "mean over instances")
EXPECTED_MINIMUM_OF_8 = Statistic(
    "expected_minimum_of_8",
    "expected minimum of 8",
    "lowest fitness of 8 instances, expected: its mean over all subsets of 8; of 8 or fewer their minimum",
    _expected_minimum_of_8,
)


def summary(
    statistic: Statistic,
    fitness: NDArray[np.float64],
    metrics: Mapping[str, NDArray[np.float64]],
    failure_below: float | None,
    *,
    finite: bool = True,
) -> dict[str, Any]:
    """What unseen instances say of a rule (JSON-ready), null where it is not finite.

    fitness, and each of the metrics: (n,) float64; failure_below: the fitness under which an instance counts as
    failed, None if the family declares none; finite: False for a rule that failed to give a fitness somewhere.

    aggregate: the statistic, with its 95 % interval; mean ± standard_error (null of one instance) beside it; quartiles:
    lower, median, upper; failures: instances below the threshold, those without a fitness among them.
    """
    n = len(fitness)
    below = None if failure_below is None else int(np.sum(~(fitness >= failure_below)))
    common = {"statistic": statistic.name, "n": n, "failures": below, "metrics": _means(metrics)}
    if not finite or n == 0:
        names = ("aggregate", "interval", "mean", "standard_error", "quartiles")
        return {**common, **dict.fromkeys(names)}
    interval = statistic.interval(fitness, np.random.default_rng(INTERVAL_SEED))
    return {
        **common,
        "aggregate": statistic.value(fitness) + 0.0,
        "interval": None if interval is None else list(interval),
        "mean": float(np.mean(fitness)),
        "standard_error": float(np.std(fitness, ddof=1)) / math.sqrt(n) if n > 1 else None,
        "quartiles": [float(value) for value in np.quantile(fitness, [0.25, 0.5, 0.75])],
    }


def _means(metrics: Mapping[str, NDArray[np.float64]]) -> dict[str, float | None]:
    means = {name: float(np.mean(values)) if len(values) else math.nan for name, values in metrics.items()}
    return {name: mean if math.isfinite(mean) else None for name, mean in means.items()}
