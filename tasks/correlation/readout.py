"""Membrane potentials of the `correlation` family: the readout that gives the fitness, and replays for pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel.compiler import kernel
from tasks.correlation.instance import Instance
from tasks.correlation.kernel import Settings, Steps, Values

RULES = 16  # rules whose readouts run side by side, in whole lanes


@kernel()
def _read_out(
    passes: Steps, inputs: Steps, windows: Steps, weights: Values, potential: float, settings: Settings
) -> tuple[Values, Values, Values]:
    """Response of up to RULES frozen weight vectors to the input, without threshold.

    weights: (n_inputs, RULES). Returns signal-to-noise ratio (mean over windows of (max V − m)/σ), m and σ, each
    (RULES,); m and σ over the steps 1 … readout outside of the windows.
    """
    n_steps = settings.readout
    n_windows = 0
    while n_windows < windows.shape[0] and windows[n_windows, 1] <= n_steps:
        n_windows += 1
    decay = settings.membrane[1]
    mean, deviation, ratio = np.zeros(RULES), np.zeros(RULES), np.zeros(RULES)
    V, total, highest = np.zeros(RULES), np.zeros(RULES), np.zeros((n_windows, RULES))
    highest[:] = -np.inf
    for second in range(2):
        V[:] = potential
        arriving, window, n_baseline = 0, 0, 0
        for step in range(1, n_steps + 1):
            for rule in range(RULES):
                V[rule] = V[rule] * decay
            if arriving < passes.size and passes[arriving] + settings.delay == step:
                total[:] = 0.0
                while arriving < passes.size and passes[arriving] + settings.delay == step:
                    i = inputs[arriving]
                    for rule in range(RULES):
                        total[rule] += weights[i, rule]
                    arriving += 1
                for rule in range(RULES):
                    V[rule] += settings.maximal_weight * total[rule]
            if window < windows.shape[0] and step > windows[window, 1]:
                window += 1
            # A window that the end of the readout cuts off has no maximum, and is no baseline either.
            inside = window < windows.shape[0] and step >= windows[window, 0]
            if inside and window < n_windows and not second:
                for rule in range(RULES):
                    highest[window, rule] = max(highest[window, rule], V[rule])
            if not inside or (settings.first_window_in_baseline and window == 0):
                n_baseline += 1
                if second:
                    for rule in range(RULES):
                        deviation[rule] += (V[rule] - mean[rule]) * (V[rule] - mean[rule])
                else:
                    for rule in range(RULES):
                        mean[rule] += V[rule]
        if second:
            deviation[:] = np.sqrt(deviation / n_baseline)
        else:
            mean /= n_baseline
    for window in range(n_windows):
        for rule in range(RULES):
            ratio[rule] += (highest[window, rule] - mean[rule]) / deviation[rule]
    ratio /= n_windows
    return ratio, mean, deviation


def read_out(weights: Values, instance: Instance, settings: Settings) -> NDArray[np.float64]:
    """Signal-to-noise ratio, m and σ (mV) of every row of weights, (n_rules, n_inputs): (3, n_rules) float64."""
    result = np.zeros((3, len(weights)))
    lanes = np.zeros((instance.n_inputs, RULES))
    for first in range(0, len(weights), RULES):
        some = weights[first : first + RULES]
        lanes[:, : len(some)] = some.T
        found = _read_out(
            instance.passes, instance.inputs, instance.windows, lanes, instance.readout_potential, settings
        )
        result[:, first : first + len(some)] = [values[: len(some)] for values in found]
    return result


@kernel()
def membrane_potential(
    passes: Steps, carried: Values, outputs: Steps, potential: float, settings: Settings, first: int, last: int
) -> Values:
    """V in the steps first … last of what `learn` has simulated: (last − first + 1,) float64, mV, 0 at a spike."""
    result = np.empty(last - first + 1)
    V = potential
    decay = settings.membrane[1]
    arriving, n_fired, blocked_until = 0, 0, -1
    for step in range(1, last + 1):
        total = 0.0
        while arriving < passes.size and passes[arriving] + settings.delay == step:
            total += carried[arriving]
            arriving += 1
        V = 0.0 if step <= blocked_until else V * decay + settings.maximal_weight * total
        if n_fired < outputs.size and outputs[n_fired] == step:
            V = 0.0
            n_fired += 1
            blocked_until = step + settings.refractory
        if step >= first:
            result[step - first] = V
    return result
