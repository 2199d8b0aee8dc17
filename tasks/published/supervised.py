"""The published experiments of the supervised family, from their drawing order (Jordan et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ruleforge.errors import InputError
from ruleforge.family import InstanceKey, PublishedExperiments, PublishedRow, Split
from tasks.supervised.instance import SupervisedInstance, instance_from_arrays
from tasks.supervised.parameters import SupervisedParameters

# One seed per experiment from here on; fifteen trained the published rules, and validation begins after them.
FIRST_SEEDS: Mapping[Split, int] = {"training": 1235, "validation": 1250}
# The grid on which the published spike trains lie, and the period at which the published simulation lost spikes: both
# in hundredths of a millisecond, whatever our own resolution.
GRID_PER_MS = 100
LOST_EVERY = 500


def published_instance(
    parameters: SupervisedParameters, key: InstanceKey, *, input_quirks: bool = True
) -> SupervisedInstance:
    """The published experiment drawn from seed `key.seed` + `key.index`.

    input_quirks: leave out what the published simulation did not hear: all but one of several spikes of an input in one
    step of 0.01 ms, and spikes at multiples of 5 ms. Raises InputError for a split without published settings.
    """
    if key.split not in FIRST_SEEDS:
        raise InputError(
            f"there are no published instances of split {key.split!r}: expected one of {', '.join(FIRST_SEEDS)}",
            pointer="/instances/source",
        )
    seed = key.seed + key.index
    if not 0 <= seed < 2**32:
        raise InputError(f"the seed of a published experiment is expected to be from 0 to {2**32 - 1}, and {seed} came")
    # numpy's legacy generator: the order of the draws is what was published.
    generator = np.random.RandomState(seed)
    rates = generator.uniform(parameters.rate_minimum, parameters.rate_maximum, size=parameters.n_inputs)
    spike_times = [_spike_train(generator, rate, parameters.duration, input_quirks) for rate in rates]
    negative = generator.rand() < 0.5 and key.split == "training"  # in the published validation the shift is always up
    spread = abs(parameters.teacher_weight_spread)
    weights = np.array([generator.uniform(-spread, spread) for _ in range(parameters.n_inputs)])
    weights += -parameters.teacher_weight_shift if negative else parameters.teacher_weight_shift
    return instance_from_arrays(parameters, spike_times, weights)


def _spike_train(
    generator: np.random.RandomState, rate: float, duration: float, input_quirks: bool
) -> NDArray[np.float64]:
    count = generator.poisson(rate * duration * 1e-3, size=1)[0]
    times = np.sort(generator.uniform(1 / GRID_PER_MS, duration, size=count))
    ticks = np.floor(times * GRID_PER_MS).astype(np.int64)
    if input_quirks:
        ticks = np.unique(ticks)
        ticks = ticks[ticks % LOST_EVERY != 0]
    return np.asarray(ticks / GRID_PER_MS, dtype=np.float64)


def _keys(split: Split, seed: int, n: int) -> list[InstanceKey]:
    return [InstanceKey("published", split, seed, index) for index in range(n)]


_RESOLUTION = {"resolution": 1 / GRID_PER_MS}
# The re-implementation's figures are those with the input quirks, as they are here.
EXPERIMENTS = PublishedExperiments(
    rows=(
        PublishedRow("2*s*(v - u)", -13.44, -13.19),
        PublishedRow("s*(v - u)*(2*u - 1)/v", -13.41, -13.16),
        PublishedRow("s*(v + u)*(v*(v - u) - s)/(v*v)", -13.42, -13.16),
        PublishedRow("v*s*(v - u)*(u - 1)/(v*v - u*s*(u - 1))", -14.25, -14.24),
        PublishedRow("s*(v - u)", -14.74, -14.74),
        PublishedRow("u*(u - v)/(2*(v*s + u*u))", -26.22, -26.21),
    ),
    seed=FIRST_SEEDS,
    parameters={"training": _RESOLUTION, "validation": _RESOLUTION},
    n={"training": 15, "validation": 15},
    keys=_keys,
)
