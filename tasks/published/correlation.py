"""The published experiments of the `correlation` family (Jordan et al. 2021), from their drawing order."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ruleforge.family import InstanceKey, PublishedExperiments, PublishedRow, Split
from tasks.correlation.instance import Instance, assemble, pattern_windows
from tasks.correlation.literature import EVOLVED, HOMEOSTATIC_RULE
from tasks.correlation.parameters import CorrelationParameters
from tasks.correlation.sampling import draw_spikes

# Seed of the inputs of the published training experiments; the initial weights come from a stream of its own.
DRAW_SEED = 11214124 + 123
WEIGHT_SEED_OFFSET = -12
POTENTIAL_SEED = 17893

# What the published validation of the evolved rules changed in the protocol.
VALIDATION: Mapping[str, Any] = MappingProxyType(
    {"initial_weight": 0.5, "readout": 31_000.0, "first_window_in_baseline": True}
)
# What the published validation of the hand-made homeostatic rule changed.
HOMEOSTATIC: Mapping[str, Any] = MappingProxyType(
    {
        "duration": 200_000.0,
        "initial_weight": 0.5,
        "readout": 11_000.0,
        "first_window_in_baseline": True,
        "facilitate_lower_bound": 0.0,
    }
)


class _Stream:
    """One random stream from which the inputs of all experiments are drawn in turn.

    Keeps the state at the start of every experiment that was reached, so that experiment i can be drawn again without
    those before it.
    """

    def __init__(self, seed: int) -> None:
        self.states: list[Any] = [np.random.RandomState(seed).get_state(legacy=False)]
        self.lock = threading.Lock()

    def draw(self, index: int, parameters: CorrelationParameters) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        with self.lock:
            at = min(index, len(self.states) - 1)
            random = np.random.RandomState(0)
            random.set_state(self.states[at])
            for experiment in range(at, index + 1):
                spikes = draw_spikes(random, parameters)
                if experiment + 1 == len(self.states):
                    self.states.append(random.get_state(legacy=False))
            return spikes


@functools.lru_cache(maxsize=16)
def _stream(seed: int, _drawn_from: CorrelationParameters) -> _Stream:
    return _Stream(seed)


def _potential(seed: int, parameters: CorrelationParameters) -> float:
    return float(np.random.RandomState(seed).normal(0, abs(parameters.initial_potential_deviation), 1)[0])


def build(key: InstanceKey, parameters: CorrelationParameters) -> Instance:
    """Experiment `key.index` of those drawn from RandomState(key.seed), all inputs from one stream.

    The initial weights come from RandomState(key.seed − 12), V(0) is one number for all. In the validation split the
    readout of experiment i starts from the first number of RandomState(i).
    """
    spikes, inputs = _stream(key.seed, parameters).draw(key.index, parameters)
    weight = parameters.initial_weight
    if weight is None:
        weights = np.random.RandomState(key.seed + WEIGHT_SEED_OFFSET)
        drawn = weights.normal(parameters.mean_initial_weight, abs(parameters.initial_weight_deviation), key.index + 1)
        weight = float(drawn[key.index])
    potential = _potential(POTENTIAL_SEED, parameters)
    readout_potential = _potential(key.index, parameters) if key.split == "validation" else potential
    initial_weights = np.full(parameters.n_inputs, weight)
    return assemble(
        spikes, inputs, pattern_windows(parameters), initial_weights, potential, readout_potential, parameters
    )


def _keys(split: Split, seed: int, n: int) -> list[InstanceKey]:
    return [InstanceKey("published", split, seed, index) for index in range(n)]


_REIMPLEMENTED = (20.882, 20.029, 14.533, 13.883, 12.370, 11.598, 11.208, 10.985, 4.678, 3.245)
EXPERIMENTS = PublishedExperiments(
    rows=(
        *(PublishedRow(text, fitness, ours) for (text, fitness), ours in zip(EVOLVED, _REIMPLEMENTED, strict=True)),
        PublishedRow(HOMEOSTATIC_RULE, 18.36, None, HOMEOSTATIC, "validation", 20, "mean"),
    ),
    seed={"training": DRAW_SEED, "validation": DRAW_SEED},
    parameters={"training": {}, "validation": VALIDATION},
    n={"training": 8, "validation": 20},
    keys=_keys,
)
