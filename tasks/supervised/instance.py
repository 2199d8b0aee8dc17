"""One supervised problem as plain arrays: drawn at random, or given by anybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ruleforge.errors import InputError
from ruleforge.parameters import GRID_TOLERANCE
from tasks.neuron import propagators
from tasks.supervised.inputs import response
from tasks.supervised.parameters import SupervisedParameters


@dataclass(frozen=True)
class SupervisedInstance:
    """One experiment on the grid of the simulation.

    spike_steps: (n_spikes,) int64, ascending, step in which an input spikes; spike_inputs: (n_spikes,) int64, which
    input; teacher_weights, initial_weights: (n_inputs,) float64, pA; held_targets: (n_samples + 1,) float64, mV, rest
    and then the samples of the teacher's potential that the rule sees; compared_targets: (n_comparisons,) float64, mV,
    the teacher's potential where the student is compared with it.
    """

    spike_steps: NDArray[np.int64]
    spike_inputs: NDArray[np.int64]
    teacher_weights: NDArray[np.float64]
    initial_weights: NDArray[np.float64]
    held_targets: NDArray[np.float64]
    compared_targets: NDArray[np.float64]


def sampled_instance(parameters: SupervisedParameters, sequence: np.random.SeedSequence) -> SupervisedInstance:
    """Draw an experiment: rates, Poisson spikes, the teacher's weights, each from a stream of its own."""
    rate_stream, spike_stream, weight_stream = (np.random.Generator(np.random.PCG64(s)) for s in sequence.spawn(3))
    rates = rate_stream.uniform(parameters.rate_minimum, parameters.rate_maximum, parameters.n_inputs)
    counts = spike_stream.poisson(rates * parameters.duration * 1e-3)
    spike_times = [np.sort(spike_stream.uniform(0.0, parameters.duration, count)) for count in counts]
    spread, shift = abs(parameters.teacher_weight_spread), parameters.teacher_weight_shift
    sign = 1.0 if weight_stream.random() < 0.5 else -1.0
    weights = weight_stream.uniform(-spread, spread, parameters.n_inputs) + sign * shift
    return instance_from_arrays(parameters, spike_times, weights)


def instance_from_arrays(
    parameters: SupervisedParameters,
    spike_times: Sequence[ArrayLike],
    teacher_weights: ArrayLike,
    initial_weights: ArrayLike | None = None,
) -> SupervisedInstance:
    """An experiment from anybody's data.

    spike_times: one ascending 1-D array per input, ms, within [0, duration]; times finer than the grid are floored to
    it, and several in one step add up. teacher_weights, initial_weights: (n_inputs,), pA; the student starts at
    `initial_weight` everywhere unless told otherwise. Raises InputError that names the field, what was expected and
    what came.
    """
    if not hasattr(spike_times, "__len__") or np.ndim(spike_times[0] if len(spike_times) else 0) == 0:
        raise _refusal("spike_times", f"{parameters.n_inputs} arrays, one per input", "something else came")
    if len(spike_times) != parameters.n_inputs:
        raise _refusal("spike_times", f"{parameters.n_inputs} arrays, one per input", f"{len(spike_times)} came")
    steps = [_spike_steps(parameters, times, f"spike_times/{index}") for index, times in enumerate(spike_times)]
    teacher = _weights(parameters, teacher_weights, "teacher_weights")
    given = np.full(parameters.n_inputs, parameters.initial_weight) if initial_weights is None else initial_weights
    initial = _weights(parameters, given, "initial_weights")

    # By step, and within a step by input, so that sums have one order. One sort of numbers beats any sort of indices.
    n_inputs = parameters.n_inputs
    order = np.sort(np.concatenate([n_inputs * of_input + index for index, of_input in enumerate(steps)]))
    spike_steps = order // n_inputs
    spike_inputs = order - n_inputs * spike_steps
    potential = potential_of(parameters, spike_steps, teacher[spike_inputs])
    held = potential[parameters.steps(parameters.target_phase) :: parameters.steps(parameters.target_interval)]
    compared = potential[
        parameters.steps(parameters.comparison_start) :: parameters.steps(parameters.comparison_interval)
    ]
    rest = parameters.resting_potential
    return SupervisedInstance(
        spike_steps, spike_inputs, teacher, initial, np.concatenate([[rest], held]), np.ascontiguousarray(compared)
    )


def potential_of(
    parameters: SupervisedParameters, spike_steps: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Membrane potential in mV at every step, (n_steps + 1,), where each spike arrives with its own weight in pA."""
    p = propagators(parameters)
    arrivals = spike_steps + parameters.steps(parameters.synaptic_delay)
    potential: NDArray[np.float64] = response(
        parameters.n_steps, arrivals, weights, p.membrane, p.current, p.coupling, parameters.resting_potential
    )
    return potential


def _refusal(field: str, expected: str, came: str) -> InputError:
    return InputError(f"{field}: expected {expected}, and {came}", pointer=f"/{field}")


def _numbers(given: ArrayLike, field: str, expected: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise _refusal(field, expected, "what came is not an array of numbers") from None
    if array.ndim != 1:
        raise _refusal(field, expected, f"an array of shape {array.shape} came")
    faults = np.flatnonzero(~np.isfinite(array))
    if faults.size:
        raise _refusal(field, "finite numbers", f"{array[faults[0]]} came at index {faults[0]}")
    return array


def _spike_steps(parameters: SupervisedParameters, given: ArrayLike, field: str) -> NDArray[np.int64]:
    times = _numbers(given, field, "a 1-D array of times in ms")
    if times.size and (times.min() < 0 or times.max() > parameters.duration):
        fault = int(np.flatnonzero((times < 0) | (times > parameters.duration))[0])
        raise _refusal(field, f"times from 0 to {parameters.duration:g} ms", f"{times[fault]:g} came at index {fault}")
    descents = np.flatnonzero(np.diff(times) < 0)
    if descents.size:
        fault = int(descents[0]) + 1
        raise _refusal(field, "ascending times", f"{times[fault]:g} came after {times[fault - 1]:g} at index {fault}")
    return np.floor(times / parameters.resolution + GRID_TOLERANCE).astype(np.int64)


def _weights(parameters: SupervisedParameters, given: ArrayLike, field: str) -> NDArray[np.float64]:
    expected = f"{parameters.n_inputs} weights in pA, one per input"
    weights = _numbers(given, field, expected)
    if weights.shape != (parameters.n_inputs,):
        raise _refusal(field, expected, f"{weights.size} came")
    return weights.copy()
