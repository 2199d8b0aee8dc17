"""Signals and slots: what the expressions of a rule may read, and when they act."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

N_RANDOM_PROBES = 48
N_CROSSED_PROBES = 96


@dataclass(frozen=True)
class Signal:
    """A local variable that a rule may read.

    symbol: its name in rules; unit: SI-style text, "1" if dimensionless; range: where its values usually lie, in
    `unit`; values: all values of a discrete signal; special: values at which rules are tried because poles sit there
    or because they do occur (0 for a trace without spikes); default: offered to the search unless a grammar says
    otherwise.
    """

    symbol: str
    unit: str
    meaning: str
    range: tuple[float, float]
    latex: str = ""
    values: tuple[float, ...] = ()
    special: tuple[float, ...] = ()
    default: bool = True


@dataclass(frozen=True)
class Slot:
    """One expression of a rule: what it reads, what it updates and when."""

    name: str
    signals: tuple[Signal, ...]
    updates: str
    when: Literal["trial_end", "step", "pre_spike", "post_spike"]

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of the signals, in order."""
        return tuple(signal.symbol for signal in self.signals)

    @property
    def default_symbols(self) -> tuple[str, ...]:
        """The symbols that a search uses unless its grammar says otherwise."""
        return tuple(signal.symbol for signal in self.signals if signal.default)


def probe_inputs(slot: Slot) -> Mapping[str, NDArray[np.float64]]:
    """The fixed inputs on which behaviours are compared: symbol → (n_probes,) values.

    Random points of the signals' ranges (discrete signals take their real values only), then the crossing of all
    special values with each other and with one point inside each range, because that is where poles lie.
    """
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(20210526)))
    random: list[NDArray[np.float64]] = []
    crossed: list[tuple[float, ...]] = []
    for signal in slot.signals:
        low, high = signal.range
        if signal.values:
            random.append(generator.choice(np.asarray(signal.values), N_RANDOM_PROBES))
            crossed.append(signal.values)
        else:
            random.append(generator.uniform(low, high, N_RANDOM_PROBES))
            crossed.append((*signal.special, low + 0.37 * (high - low)))
    points = list(itertools.product(*crossed))
    if len(points) > N_CROSSED_PROBES:
        chosen = generator.choice(len(points), N_CROSSED_PROBES, replace=False)
        points = [points[i] for i in sorted(chosen)]
    corners = np.asarray(points, dtype=np.float64).T
    return {
        signal.symbol: np.concatenate([values, corner])
        for signal, values, corner in zip(slot.signals, random, corners, strict=True)
    }
