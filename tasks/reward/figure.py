"""The picture of a reward rule: how it learns, what it does to a weight, what becomes of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ruleforge.family import Trace
from ruleforge.language.rule import Rule
from tasks.reward.parameters import RewardParameters

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINDOW = 25  # trials of the running mean in the learning curve
REWARDED, PUNISHED, NEUTRAL = "#1b7f79", "#c8553d", "#5b6770"


def draw(parameters: RewardParameters, rule: Rule, traces: Sequence[Trace], figure: Figure) -> None:
    """Three panels under the formula. traces: one per experiment, the first one's weights are shown."""
    figure.suptitle(f"${rule.latex}$", fontsize=16)
    left, middle, right = figure.subplots(1, 3, gridspec_kw={"width_ratios": (1.3, 1, 1)})
    _learning_curve(left, np.array([trace["reward"].values for trace in traces]))
    eligibilities = np.concatenate([trace["eligibility"].values.ravel() for trace in traces])
    _weight_change(middle, parameters, rule, eligibilities)
    weights = traces[0]["weight"].values
    for index in range(weights.shape[1]):
        right.plot(weights[:, index] / 1000, color=NEUTRAL, linewidth=0.6, alpha=0.7)
    right.set(title="weights of one experiment", xlabel="trial", ylabel="weight (nA)")
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_size(11)
    figure.set_layout_engine("constrained")


def _learning_curve(axes: Axes, rewards: NDArray[np.float64]) -> None:
    """Fraction of rewarded trials, running mean; line: mean over experiments, band: ± one standard deviation."""
    width = min(WINDOW, rewards.shape[1])
    kernel = np.full(width, 1.0 / width)
    curves = np.array([np.convolve(0.5 + 0.5 * row, kernel, mode="valid") for row in rewards])
    trials = np.arange(curves.shape[1]) + width
    mean, deviation = curves.mean(axis=0), curves.std(axis=0)
    axes.axhline(0.5, color=NEUTRAL, linewidth=0.8, linestyle=":")
    axes.text(trials[-1], 0.505, "chance", ha="right", va="bottom", color=NEUTRAL, fontsize=8)
    axes.fill_between(trials, mean - deviation, mean + deviation, color=REWARDED, alpha=0.2, linewidth=0)
    axes.plot(trials, mean, color=REWARDED)
    title = f"learning curve, {len(rewards)} unseen experiments (± s.d.)"
    axes.set(title=title, xlabel="trial", ylabel=f"rewarded (mean of {width} trials)", ylim=(0, 1))


def _weight_change(axes: Axes, parameters: RewardParameters, rule: Rule, eligibilities: NDArray[np.float64]) -> None:
    """Δw against E for both rewards, over the eligibilities that occur (1st to 99th percentile)."""
    finite = eligibilities[np.isfinite(eligibilities)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (-1.0, 1.0)
    span = max(abs(low), abs(high), 1e-3)
    grid = np.linspace(-span, span, 401)
    function = rule.to_numpy()
    means = {"R_mean": 0.0, "R_mean_positive": 0.5, "R_mean_negative": -0.5}
    for reward, colour in ((1.0, REWARDED), (-1.0, PUNISHED)):
        change = parameters.learning_rate * function(R=reward, E=grid, **means)
        axes.plot(grid, np.where(np.isfinite(change), change, np.nan), color=colour, label=f"R = {reward:+.0f}")
    axes.axhline(0, color=NEUTRAL, linewidth=0.6)
    axes.axvline(0, color=NEUTRAL, linewidth=0.6)
    axes.legend(frameon=False)
    axes.set(title="change of a weight", xlabel="eligibility E", ylabel="Δw (pA)")
