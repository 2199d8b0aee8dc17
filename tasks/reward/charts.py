"""What is shown of a reward rule, in numbers: how it learns, what it does to a weight, what becomes of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ruleforge.charts import Axis, Chart, Series, level
from ruleforge.family import Trace
from ruleforge.language.rule import Rule
from tasks.reward.parameters import RewardParameters

WINDOW = 25  # trials of the running mean in the learning curve
CHANCE = 0.5
TRIAL = Axis("trial", "1")


def charts(parameters: RewardParameters, rule: Rule, traces: Sequence[Trace]) -> Mapping[str, Chart]:
    """Learning curve, weight change, weights. traces: one per experiment; the weights are those of the first one."""
    eligibilities = np.concatenate([trace["eligibility"].values.ravel() for trace in traces])
    return {
        "learning_curve": learning_curve(np.array([trace["reward"].values for trace in traces])),
        "weight_change": weight_change(parameters, rule, eligibilities),
        "weights": weights(traces[0]),
    }


def learning_curve(rewards: NDArray[np.float64]) -> Chart:
    """Fraction of rewarded trials, running mean: mean over experiments ± one standard deviation.

    rewards: (n_experiments, n_trials) float64, ±1.
    """
    width = min(WINDOW, rewards.shape[1])
    kernel = np.full(width, 1.0 / width)
    curves = np.array([np.convolve(0.5 + 0.5 * row, kernel, mode="valid") for row in rewards])
    trials = np.arange(curves.shape[1], dtype=np.float64) + width
    mean, deviation = curves.mean(axis=0), curves.std(axis=0)
    title = f"learning curve, {len(rewards)} unseen experiments (± s.d.)"
    series = Series("rewarded", trials, mean, low=mean - deviation, high=mean + deviation)
    return Chart(
        title, TRIAL, Axis(f"rewarded (mean of {width} trials)", "1"), (series, level("chance", trials, CHANCE))
    )


def weight_change(parameters: RewardParameters, rule: Rule, eligibilities: NDArray[np.float64]) -> Chart:
    """Δw against E for both rewards, over the eligibilities that occur (1st to 99th percentile)."""
    finite = eligibilities[np.isfinite(eligibilities)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (-1.0, 1.0)
    span = max(abs(low), abs(high), 1e-3)
    grid = np.linspace(-span, span, 401)
    function = rule.to_numpy()
    means = {"R_mean": 0.0, "R_mean_positive": 0.5, "R_mean_negative": -0.5}
    series = []
    for reward in (1.0, -1.0):
        with np.errstate(over="ignore"):
            change = parameters.learning_rate * function(R=reward, E=grid, **means)
        series.append(Series(f"R = {reward:+.0f}", grid, np.where(np.isfinite(change), change, np.nan)))
    return Chart("change of a weight", Axis("eligibility E", "1"), Axis("Δw", "pA"), tuple(series))


def weights(trace: Trace) -> Chart:
    """Every weight of one experiment, before the update of each trial."""
    values = trace["weight"].values / 1000
    trials = np.arange(len(values), dtype=np.float64)
    series = tuple(Series(f"input {index}", trials, column) for index, column in enumerate(values.T))
    return Chart("weights of one experiment", TRIAL, Axis("weight", "nA"), series)
