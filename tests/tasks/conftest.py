"""NEST for second opinions: a fresh kernel for every test, spike trains in, recordings out, times in steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


class Simulator:
    """NEST on one grid. A step n is the time n·h, at the end of the n-th update; `nest` is the module itself."""

    def __init__(self, nest: ModuleType, resolution: float) -> None:
        self.nest, self.resolution = nest, resolution
        nest.verbosity = nest.VerbosityLevel.ERROR
        nest.ResetKernel()
        nest.resolution = resolution
        nest.rng_seed = 1

    def time(self, steps: Any) -> Any:
        """Steps in ms, without the digits that multiplication leaves and NEST refuses as off the grid."""
        return np.round(np.asarray(steps) * self.resolution, 6)

    def steps(self, times: Any) -> NDArray[np.int64]:
        """Times in ms, as NEST gives them back, in steps."""
        return np.round(np.asarray(times) / self.resolution).astype(np.int64)

    def sources(self, steps: NDArray[Any], inputs: NDArray[Any], n_inputs: int) -> Any:
        """One spike generator per input. steps, inputs: (n_spikes,), steps ≥ 1 (NEST: no spike at 0), repeats kept."""
        sources = self.nest.Create("spike_generator", n_inputs)
        for i in range(n_inputs):
            sources[i].set({"spike_times": self.time(np.sort(steps[inputs == i])).tolist()})
        return sources

    def multimeter(self, neurons: Any, *quantities: str) -> Callable[[str], NDArray[np.float64]]:
        """Record every step. After simulating, the returned function gives a quantity: (n_neurons, n_steps), from 1."""
        settings = {"record_from": list(quantities), "interval": self.resolution}
        recorder = self.nest.Create("multimeter", params=settings)
        self.nest.Connect(recorder, neurons)

        def recorded(quantity: str) -> NDArray[np.float64]:
            events = recorder.get("events")
            order = np.lexsort((events["times"], events["senders"]))
            return np.asarray(events[quantity])[order].reshape(len(neurons), -1)

        return recorded

    def spike_recorder(self, neurons: Any) -> Callable[[], tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """After simulating, the returned function gives step and neuron (from 0) of every spike, both (n_spikes,)."""
        recorder = self.nest.Create("spike_recorder")
        self.nest.Connect(neurons, recorder)

        def recorded() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
            events = recorder.get("events")
            order = np.lexsort((events["senders"], events["times"]))
            # NEST's arrays of no events are float64.
            senders = events["senders"][order].astype(np.int64)
            return self.steps(events["times"][order]), senders - neurons[0].get("global_id")

        return recorded

    def simulate(self, n_steps: int) -> None:
        """Run for n_steps and a little longer, because recorders are told of a spike one delay later."""
        self.nest.Simulate(float(self.time(n_steps)) + 10.0)


@pytest.fixture
def simulator() -> Iterator[Callable[[float], Simulator]]:
    """A function that gives a fresh NEST kernel of a resolution in ms; skips where nest-simulator is not installed."""
    nest = pytest.importorskip("nest", reason="nest-simulator is not installed")
    yield lambda resolution: Simulator(nest, resolution)
    nest.ResetKernel()
