"""Membrane potentials of the `correlation` family: the readout that gives the fitness, and replays for pictures."""

from __future__ import annotations

import math

import numpy as np

from ruleforge.kernel.compiler import kernel
from ruleforge.kernel.functions import fused_multiply_add
from tasks.correlation.instance import Instance
from tasks.correlation.kernel import Settings, Steps, Values
from tasks.correlation.segments import Segments, segments_of


@kernel()
def _read_out(segments: Segments, weights: Values, potential: float, settings: Settings) -> tuple[float, float, float]:
    """Response of frozen weights to the input, without threshold.

    weights: (n_inputs + 1,), the last one 0. Returns signal-to-noise ratio (mean over windows of (max V − m)/σ), m and
    σ; m and σ over the steps of the baseline.

    Within a segment that begins with V the potential is V·dʲ, j = 0, 1, …, so that sums over its n steps are tables of
    n times powers of V. With u = V − m, what a step deviates by is u·dʲ − m·(1 − dʲ): nothing large cancels.
    """
    inputs, lengths, runs = segments.inputs, segments.lengths, segments.runs
    last, n_longest = settings.membrane.size - 1, segments.n_longest
    # Over n steps: dⁿ, Σ dʲ, Σ d²ʲ, Σ dʲ(1 − dʲ), Σ (1 − dʲ)².
    table = np.zeros((n_longest + 1, 5))
    for n in range(n_longest + 1):
        table[n, 0] = settings.membrane[min(n, last)]
        if n:
            decay = table[n - 1, 0]
            table[n, 1] = table[n - 1, 1] + decay
            table[n, 2] = table[n - 1, 2] + decay * decay
            table[n, 3] = table[n - 1, 3] + decay * (1.0 - decay)
            table[n, 4] = table[n - 1, 4] + (1.0 - decay) * (1.0 - decay)

    V, fade = potential, settings.membrane[1]
    begun_with = np.empty(lengths.size)
    highest = np.full(segments.n_windows, -np.inf)
    total, n_baseline = 0.0, 0
    first = 0
    for run in range(runs.shape[0]):
        until, n_steps, window = runs[run, 0], runs[run, 1], runs[run, 2]
        run_total, run_highest = 0.0, -np.inf
        for index in range(first, until):
            V = fused_multiply_add(V, fade, settings.maximal_weight * weights[inputs[index]])
            begun_with[index] = V
            n = lengths[index]
            fade = table[n, 0]
            run_total = fused_multiply_add(V, table[n, 1], run_total)
            run_highest = max(run_highest, V)
        if window >= 0:
            # From an arrival on V falls; or it rises from below 0, up to the last step.
            highest[window] = max(highest[window], run_highest, V * table[lengths[until - 1] - 1, 0])
        if runs[run, 3]:
            total += run_total
            n_baseline += n_steps
        first = until
    mean = total / n_baseline

    variance = 0.0
    first = 0
    for run in range(runs.shape[0]):
        until = runs[run, 0]
        if runs[run, 3]:
            for index in range(first, until):
                n = lengths[index]
                u = begun_with[index] - mean
                variance += u * (u * table[n, 2] - 2.0 * mean * table[n, 3]) + mean * mean * table[n, 4]
        first = until
    deviation = math.sqrt(variance / n_baseline)
    ratio = 0.0
    for window in range(segments.n_windows):
        ratio += (highest[window] - mean) / deviation
    return ratio / segments.n_windows, mean, deviation


def read_out(weights: Values, instance: Instance, settings: Settings) -> Values:
    """Signal-to-noise ratio, m and σ (mV) of every row of weights, (n_rules, n_inputs): (3, n_rules) float64."""
    result = np.zeros((3, len(weights)))
    with_nobody = np.zeros(instance.n_inputs + 1)
    segments = instance.segments
    wanted = settings.readout, settings.delay, settings.first_window_in_baseline
    if (segments.n_steps, segments.delay, segments.first_in_baseline) != wanted:  # built for other parameters
        segments = segments_of(instance.passes, instance.inputs, instance.n_inputs, instance.windows, *wanted)
    for row, given in enumerate(weights):
        with_nobody[:-1] = given
        result[:, row] = _read_out(segments, with_nobody, instance.readout_potential, settings)
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
