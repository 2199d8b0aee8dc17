"""Instances of the reward family: frozen patterns, labels, order of trials, initial weights, noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ruleforge.errors import InputError
from ruleforge.family import InstanceKey
from tasks.reward.parameters import RewardParameters


@dataclass(frozen=True)
class RewardInstance:
    """One experiment as plain arrays; only connected inputs occur in it.

    labels: (n_patterns,) float64, ±1; order: (n_trials,) int32, the pattern of each trial;
    offsets: (n_patterns + 1,) int64, where each pattern's arrivals begin; arrival_steps: (n_arrivals,) int32, ascending
    within a pattern, the step at whose end the current jumps; arrival_inputs: (n_arrivals,) int32;
    initial_weights: (n_inputs,) float64, pA; noise_seeds: (n_trials,) uint64, one stream of output noise per trial.
    """

    labels: NDArray[np.float64]
    order: NDArray[np.int32]
    offsets: NDArray[np.int64]
    arrival_steps: NDArray[np.int32]
    arrival_inputs: NDArray[np.int32]
    initial_weights: NDArray[np.float64]
    noise_seeds: NDArray[np.uint64]


def sample(parameters: RewardParameters, key: InstanceKey) -> RewardInstance:
    """Draw the experiment of a key. Spike times are drawn in continuous time, so that all resolutions share them."""
    generator = np.random.Generator(np.random.PCG64(key.seed_sequence()))
    p = parameters
    connected = generator.random(p.n_inputs) < p.connection_probability
    if not connected.any():
        connected[0] = True
    counts = generator.poisson(p.input_rate * p.trial_duration * 1e-3, size=(p.n_patterns, p.n_inputs))
    times = generator.uniform(0.0, p.trial_duration, size=int(counts.sum()))
    labels = generator.choice([-1.0, 1.0], size=p.n_patterns)
    order = generator.integers(p.n_patterns, size=p.n_trials, dtype=np.int32)
    # Of a standard deviation of −0, which numpy refuses, the same as of 0.
    weights = generator.normal(0.0, abs(p.initial_weight_deviation), size=p.n_inputs)
    noise = generator.integers(2**64, size=p.n_trials, dtype=np.uint64)
    pieces = np.split(times, np.cumsum(counts.ravel())[:-1])
    patterns = [[pieces[m * p.n_inputs + j] for j in np.flatnonzero(connected)] for m in range(p.n_patterns)]
    return assemble(p, patterns, labels, order, weights[connected], noise)


def assemble(
    parameters: RewardParameters,
    patterns: Sequence[Sequence[NDArray[np.float64]]],
    labels: NDArray[np.float64],
    order: NDArray[np.int32],
    initial_weights: NDArray[np.float64],
    noise_seeds: NDArray[np.uint64],
) -> RewardInstance:
    """Put spike times (ms, per pattern and input) onto the grid: floored to it, then delayed, sorted by step."""
    h = parameters.resolution
    n_steps = parameters.steps(parameters.trial_duration)
    delay = parameters.steps(parameters.synaptic_delay)
    steps, inputs, offsets = [], [], [0]
    for pattern in patterns:
        lengths = [len(times) for times in pattern]
        # A hair above, so that 0.3 at h = 0.1 is step 3 and not 2.
        step = np.floor(np.concatenate([*pattern, np.empty(0)]) / h + 1e-9).astype(np.int32) + delay
        source = np.repeat(np.arange(len(pattern), dtype=np.int32), lengths)
        reached = step < n_steps
        by_time = np.lexsort((source[reached], step[reached]))
        steps.append(step[reached][by_time])
        inputs.append(source[reached][by_time])
        offsets.append(offsets[-1] + len(steps[-1]))
    return RewardInstance(
        labels=labels,
        order=order,
        offsets=np.array(offsets, dtype=np.int64),
        arrival_steps=np.concatenate(steps),
        arrival_inputs=np.concatenate(inputs),
        initial_weights=initial_weights,
        noise_seeds=noise_seeds,
    )


def from_arrays(
    parameters: RewardParameters,
    *,
    patterns: Sequence[Sequence[ArrayLike]],
    labels: ArrayLike,
    order: ArrayLike,
    initial_weights: ArrayLike,
    noise_seed: int = 0,
) -> RewardInstance:
    """An instance from anybody's data.

    patterns: per pattern, per input, the spike times in ms, ascending, in [0, T); labels: (n_patterns,), ±1;
    order: (n_trials,), the pattern shown in each trial; initial_weights: (n_inputs,), pA, finite.
    noise_seed: of the output noise, 0 or more.
    Raises InputError that names the field, what was expected and what came.
    """
    if isinstance(noise_seed, bool) or not isinstance(noise_seed, (int, np.integer)) or noise_seed < 0:
        raise InputError(f"noise_seed: expected an integer of 0 or more, and {noise_seed!r} came")
    n_patterns = _length("patterns", patterns)
    weights = _array("initial_weights", initial_weights)
    if not len(weights):
        raise InputError("initial_weights: expected at least one, and none came")
    label = _array("labels", labels)
    trials = _array("order", order)
    if n_patterns != len(label) or not len(label):
        raise InputError(f"labels: expected one per pattern ({n_patterns}), and {len(label)} came")
    if not np.isin(label, (-1.0, 1.0)).all():
        raise InputError("labels: expected only −1 and 1, and others came")
    if not len(trials) or (trials != np.floor(trials)).any() or trials.min() < 0 or trials.max() >= n_patterns:
        raise InputError(f"order: expected indices of patterns, 0 … {n_patterns - 1}, and others (or none) came")
    checked = []
    for m, pattern in enumerate(patterns):
        if (n_inputs := _length(f"patterns[{m}]", pattern)) != len(weights):
            raise InputError(
                f"patterns[{m}]: expected spike times of {len(weights)} inputs, one per weight, and {n_inputs} came"
            )
        checked.append(
            [spike_times(f"patterns[{m}][{j}]", t, parameters.trial_duration) for j, t in enumerate(pattern)]
        )
    noise = np.random.Generator(np.random.PCG64(np.random.SeedSequence(noise_seed))).integers(
        2**64, size=len(trials), dtype=np.uint64
    )
    return assemble(parameters, checked, label, trials.astype(np.int32), weights, noise)


def _length(name: str, values: Sequence[object]) -> int:
    try:
        return len(values)
    except TypeError:
        raise InputError(f"{name}: expected a list, and {values!r:.60} came") from None


def _array(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name}: expected numbers, and {values!r:.60} came") from None
    if array.ndim != 1:
        raise InputError(f"{name}: expected one dimension, and an array of shape {array.shape} came")
    if not np.isfinite(array).all():
        raise InputError(f"{name}: expected finite numbers, and NaN or infinity came")
    return array


def spike_times(name: str, values: ArrayLike, duration: float) -> NDArray[np.float64]:
    """Validated spike times, ms: ascending, in [0, duration). Equal times are several spikes."""
    times = _array(name, values)
    if len(times) and (times[0] < 0 or times[-1] >= duration or times.min() < 0 or times.max() >= duration):
        raise InputError(
            f"{name}: expected times from 0 to below {duration:g} ms, and {times.min():g} … {times.max():g} came"
        )
    if (np.diff(times) < 0).any():
        raise InputError(f"{name}: expected ascending times, and they are not sorted: sort them")
    return times
