"""How the inputs of an instance are drawn: a pattern that hides in background spikes of the same rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.correlation.instance import pattern_windows
from tasks.correlation.parameters import CorrelationParameters

# The published experiments came from the older of the two, with the same calls in the same order.
Random = np.random.Generator | np.random.RandomState


def _spike_matrix(random: Random, duration: float, parameters: CorrelationParameters) -> NDArray[np.int64]:
    """(n_inputs, n_columns) steps of Poisson spikes, ascending along a row; some fall behind `duration` (ms)."""
    rate = parameters.input_rate / 1000
    n_columns = max(1, int(1.25 * rate * duration))
    intervals = random.exponential(1 / rate, size=(parameters.n_inputs, n_columns))
    times = np.cumsum(intervals, axis=1) + parameters.resolution
    return np.rint(times * (1 / parameters.resolution)).astype(np.int64)


def draw_spikes(random: Random, parameters: CorrelationParameters) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Steps and inputs, both (n_spikes,), of one experiment's input spikes (Jordan et al. 2021).

    The pattern is a stretch of Poisson spikes, its first `n_columns` per input. Background spikes in the windows of
    the pattern are removed. An input that takes part keeps only `kept_fraction` of its others, drawn with replacement,
    so that its mean rate is that of all others.
    """
    pattern_duration, duration = parameters.steps(parameters.pattern_duration), parameters.steps(parameters.duration)
    pattern = _spike_matrix(random, parameters.pattern_duration, parameters)
    background = _spike_matrix(random, parameters.duration, parameters)
    onsets = pattern_windows(parameters)[:, 0] + 1
    before = np.searchsorted(onsets, background, side="left") - 1  # the last onset before each spike
    in_window = (before >= 0) & (background <= onsets[before] + pattern_duration)
    kept = (background < duration) & ~in_window
    trains: list[NDArray[np.int64]] = []
    for spikes, mask, own in zip(background, kept, pattern, strict=True):
        train = spikes[mask]
        repeated = own[own < pattern_duration]
        if repeated.size:
            # `choice` refuses an empty array even when nothing is to be drawn from it.
            train = random.choice(train, int(parameters.kept_fraction * train.size)) if train.size else train
            in_pattern = (onsets[:, None] + repeated[None, :]).ravel()
            train = np.concatenate([train, in_pattern[in_pattern < duration]])
        trains.append(train)
    return np.concatenate(trains), np.repeat(np.arange(parameters.n_inputs), [len(train) for train in trains])
