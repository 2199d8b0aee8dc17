"""What the kernels of the supervised family read and write: numbers, arrays, and what lies where in them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel.compiler import kernel
from ruleforge.kernel.lanes import LANES

# Rows of a rule's state, 16 values each: a mark of what is not finite; potential, current (scaled by the coupling) and
# squared error of the student; then the filtered rule of each input, the weight of each input, the weights as last
# read, and what is about to arrive at each step of a travel time.
MARK_ROW, MEMBRANE_ROW, CURRENT_ROW, ERROR_ROW, FILTERED_ROW = (row * LANES for row in range(5))


class Constants(NamedTuple):
    """Numbers that the kernel needs: propagators of one step, potentials in mV, times in steps.

    smoothing: e^{−h/τ_I}; learning: η·h·(1 − smoothing), because what is filtered is kept without its factor
    1 − smoothing; delay, hold (the teacher's samples) and comparison as in the family's parameters; travel: from the
    reading of a weight to its arrival; reading_interval: 1 for none; block: steps computed together, at most travel;
    check: steps between two looks at which rules are still running.
    """

    membrane: float
    current: float
    coupling: float
    rest: float
    smoothing: float
    learning: float
    n_inputs: int
    n_steps: int
    block: int
    check: int
    delay: int
    travel: int
    reading_interval: int
    hold_phase: int
    hold_interval: int
    comparison_start: int
    comparison_interval: int


class Experiments(NamedTuple):
    """Up to 16 experiments, one per lane; unused lanes have no spikes.

    arrivals: (n_spikes,) uint32, the spikes that reach the membrane, block after block: where each adds to
    (n_inputs, block, 16) impulses; starts: int64, where those of each block begin, with empty blocks for one travel
    time after the end; held: (n_samples + 1, 16) and compared: (n_comparisons, 16) float64, mV, and weights, teacher:
    (n_inputs, 16) float64, pA, the student's at the start and the teacher's, all flat; n_lanes: lanes in use.
    """

    arrivals: NDArray[np.uint32]
    starts: NDArray[np.int64]
    held: NDArray[np.float64]
    compared: NDArray[np.float64]
    weights: NDArray[np.float64]
    teacher: NDArray[np.float64]
    n_lanes: int


class Memory(NamedTuple):
    """What the kernel works in, flat float64 on cache lines of 64 bytes, zero at the start.

    workspace: blocks of the interpreter, constants filled in; states: (n_rules, n_rows(c), 16) and a block of zeros;
    responses: (n_inputs, 2, 16), potential and current of the unit responses; impulses: (2, n_inputs, block, 16),
    spikes that arrive in a block and one travel time later, scaled by the coupling; history: (n_inputs, block, 16),
    weights, if recorded.
    """

    workspace: NDArray[np.float64]
    states: NDArray[np.float64]
    responses: NDArray[np.float64]
    impulses: NDArray[np.float64]
    history: NDArray[np.float64]


def n_rows(c: Constants) -> int:
    """Rows of 16 values in the state of one rule."""
    return FILTERED_ROW // LANES + 3 * c.n_inputs + c.travel


@kernel(inline=True)
def blocks_per_travel(c: Constants) -> int:
    """How many blocks make up one travel time; the last one may be shorter than the others."""
    return (c.travel + c.block - 1) // c.block
