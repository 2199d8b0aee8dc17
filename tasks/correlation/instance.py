"""One learning problem of the `correlation` family as plain arrays, made from drawn or from a user's spikes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ruleforge.errors import InputError
from ruleforge.kernel.compiler import kernel
from tasks.correlation.parameters import CorrelationParameters
from tasks.correlation.segments import Segments, segments_of

Steps = NDArray[np.int32]
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Instance:
    """Inputs, weights and potentials of one learning problem; a step is one `resolution`.

    passes: (n_spikes,) int32, step at which each input spike passes its synapse, ascending, equal steps by input;
    inputs: (n_spikes,) int32, the input that it comes from;
    distinct_until: (n_spikes,) int32, the spikes from each one up to this index (exclusive) come from different inputs;
    windows: (n_windows, 2) int32, first and last step of the potential's window of every pattern, both included;
    initial_weights: (n_inputs,) float64, in units of the maximal weight;
    initial_potential, readout_potential: mV, V(0) of learning and of the readout;
    segments: the readout's time, cut where spikes reach the membrane and where windows begin and end.
    """

    passes: Steps
    inputs: Steps
    distinct_until: Steps
    windows: Steps
    initial_weights: Values
    initial_potential: float
    readout_potential: float
    segments: Segments

    @property
    def n_inputs(self) -> int:
        """Number of inputs, those that never fire included."""
        return len(self.initial_weights)


@kernel()
def _distinct_until(inputs: Steps, n_inputs: int) -> Steps:
    n_spikes = inputs.size
    result = np.empty(n_spikes, np.int32)
    following = np.full(n_inputs, n_spikes, np.int32)
    end = n_spikes
    for index in range(n_spikes - 1, -1, -1):
        end = min(end, following[inputs[index]])
        following[inputs[index]] = index
        result[index] = end
    return result


def assemble(
    steps: NDArray[np.int64],
    inputs: NDArray[np.int64],
    windows: NDArray[np.int64],
    initial_weights: Values,
    initial_potential: float,
    readout_potential: float,
    parameters: CorrelationParameters,
) -> Instance:
    """The instance of input spikes at `steps` (any order) of `inputs`: both (n_spikes,)."""
    order = np.lexsort((inputs, steps))
    passes = steps[order] + parameters.steps(parameters.axonal_delay)
    # A spike that passes its synapse after the end is never seen.
    order, passes = (
        order[passes <= parameters.steps(parameters.duration)],
        passes[passes <= parameters.steps(parameters.duration)],
    )
    at_synapse, of_input = passes.astype(np.int32), inputs[order].astype(np.int32)
    in_pattern = windows.astype(np.int32)
    n_inputs = len(initial_weights)
    readout, delay = parameters.steps(parameters.readout), parameters.steps(parameters.dendritic_delay)
    return Instance(
        at_synapse,
        of_input,
        _distinct_until(of_input, n_inputs),
        in_pattern,
        initial_weights,
        float(initial_potential),
        float(readout_potential),
        segments_of(at_synapse, of_input, n_inputs, in_pattern, readout, delay, parameters.first_window_in_baseline),
    )


def pattern_windows(parameters: CorrelationParameters) -> NDArray[np.int64]:
    """(n_windows, 2): first and last step of every pattern that starts before the end."""
    duration, interval = parameters.steps(parameters.duration), parameters.steps(parameters.pattern_interval)
    # The published onsets are one step later than the windows (400.1 and 400 ms).
    starts = np.arange(parameters.steps(parameters.pattern_start), duration - 1, interval)
    return np.stack([starts, starts + parameters.steps(parameters.pattern_duration)], axis=1)


def _vector(name: str, given: ArrayLike, *, length: int | None = None) -> Values:
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name}: expected numbers, and {type(given).__name__} came", pointer=f"/{name}") from None
    if values.ndim != 1 or (length is not None and values.size != length):
        wanted = "a one-dimensional array" if length is None else f"an array of shape ({length},)"
        raise InputError(f"{name}: expected {wanted}, and one of shape {values.shape} came", pointer=f"/{name}")
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise InputError(
            f"{name}: expected finite numbers, and element {wrong[0]} is {values[wrong[0]]}", pointer=f"/{name}"
        )
    return values


def _times(name: str, given: ArrayLike, duration: float) -> Values:
    values = _vector(name, given)
    falling = np.flatnonzero(np.diff(values) < 0)
    if falling.size:
        at = falling[0]
        raise InputError(
            f"{name}: expected ascending times, and {values[at + 1]:g} ms comes after {values[at]:g} ms "
            f"(element {at + 1}): sort them",
            pointer=f"/{name}",
        )
    if values.size and not (values[0] >= 0 and values[-1] < duration):
        wrong = values[0] if values[0] < 0 else values[-1]
        raise InputError(
            f"{name}: expected times in [0, {duration:g}) ms, the parameter duration, and {wrong:g} ms came",
            pointer=f"/{name}",
        )
    return values


def _potential(name: str, given: float) -> float:
    if not isinstance(given, (int, float, np.floating)) or not np.isfinite(given):
        raise InputError(f"{name}: expected a finite number of mV, and {given!r} came", pointer=f"/{name}")
    return float(given)


def _on_grid(times: Values, resolution: float) -> NDArray[np.int64]:
    # 0.3/0.1 is a little below 3: times on the grid must not fall to the step before.
    return np.floor(times / resolution + 1e-6).astype(np.int64)


def instance_from_arrays(
    parameters: CorrelationParameters,
    spike_times: Sequence[ArrayLike],
    pattern_starts: ArrayLike,
    initial_weights: ArrayLike | float,
    *,
    initial_potential: float = 0.0,
    readout_potential: float | None = None,
) -> Instance:
    """An instance from anybody's data.

    spike_times: one ascending array per input, ms, in [0, duration), floored to the grid; spikes of one input in one
    step count one by one. pattern_starts: ascending, ms; the response is measured from each start for
    `pattern_duration`, both ends included. initial_weights: one number or (n_inputs,), in [0, 1]. Potentials in mV
    above rest; the readout starts from `initial_potential` unless it has its own.
    Raises InputError that names the argument, what was expected and what came.
    """
    if (
        isinstance(spike_times, (str, bytes))
        or not isinstance(spike_times, (Sequence, np.ndarray))
        or len(spike_times) == 0
    ):
        raise InputError("spike_times: expected a sequence with one array of times per input", pointer="/spike_times")
    n_inputs = len(spike_times)
    trains = [_times(f"spike_times/{index}", times, parameters.duration) for index, times in enumerate(spike_times)]
    starts = _times("pattern_starts", pattern_starts, parameters.duration)
    first = _on_grid(starts, parameters.resolution)
    last = first + parameters.steps(parameters.pattern_duration)
    if np.any(first[1:] <= last[:-1]):
        raise InputError(
            f"pattern_starts: expected ascending times more than pattern_duration apart, "
            f"{parameters.pattern_duration:g} ms, and {starts[1:][first[1:] <= last[:-1]][0]:g} ms comes too early",
            pointer="/pattern_starts",
        )
    n_needed = 1 + parameters.first_window_in_baseline
    if np.count_nonzero(last <= parameters.steps(parameters.readout)) < n_needed:
        wanted = "two patterns that end" if parameters.first_window_in_baseline else "one pattern that ends"
        why = ", because first_window_in_baseline leaves the first one out" if n_needed == 2 else ""
        raise InputError(
            f"pattern_starts: expected at least {wanted} within the readout, {parameters.readout:g} ms{why}",
            pointer="/pattern_starts",
        )
    weights = np.full(n_inputs, initial_weights) if np.ndim(initial_weights) == 0 else initial_weights
    weights = _vector("initial_weights", weights, length=n_inputs)
    wrong = np.flatnonzero((weights < 0) | (weights > 1))
    if wrong.size:
        raise InputError(
            f"initial_weights: expected weights in [0, 1], and element {wrong[0]} is {weights[wrong[0]]:g}",
            pointer="/initial_weights",
        )
    potential = _potential("initial_potential", initial_potential)
    return assemble(
        np.concatenate([_on_grid(times, parameters.resolution) for times in trains]),
        np.repeat(np.arange(n_inputs), [len(times) for times in trains]),
        np.stack([first, last], axis=1),
        weights.copy(),
        potential,
        potential if readout_potential is None else _potential("readout_potential", readout_potential),
        parameters,
    )
