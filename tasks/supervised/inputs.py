"""What does not depend on the rule: the teacher, the order of events, impulses, responses and targets of a block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel.compiler import kernel
from ruleforge.kernel.functions import fused_multiply_add
from ruleforge.kernel.lanes import LANES, broadcast, load, multiply_add, store
from tasks.supervised.layout import Constants, Experiments, Memory, blocks_per_travel
from tasks.supervised.program import RESPONSE, TARGET


@kernel()
def response(
    n_steps: int,
    arrivals: NDArray[np.int64],
    weights: NDArray[np.float64],
    membrane: float,
    current: float,
    coupling: float,
    rest: float,
) -> NDArray[np.float64]:
    """Potential of a neuron at steps 0 … n_steps, mV; arrivals: (n_spikes,) ascending steps; weights: pA of each."""
    potential = np.zeros(n_steps + 1)  # at first what arrives in each step, pA
    for k in range(arrivals.shape[0]):
        if arrivals[k] > n_steps:
            break
        potential[arrivals[k]] += weights[k]
    v, i = 0.0, potential[0]
    potential[0] = rest
    for step in range(1, n_steps + 1):
        v = fused_multiply_add(v, membrane, i * coupling)
        i = fused_multiply_add(i, current, potential[step])
        potential[step] = rest + v
    return potential


@kernel()
def sort_arrivals(
    c: Constants, lane_starts: NDArray[np.int64], steps: NDArray[np.int32], inputs: NDArray[np.int32]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """`arrivals` and `starts` of Experiments.

    lane_starts: (17,), where each lane's spikes begin in steps (ascending within a lane) and inputs, (n_spikes,) each.
    """
    n_blocks = blocks_per_travel(c) * ((c.n_steps + c.travel - 1) // c.travel + 1)
    starts = np.zeros(n_blocks + 1, np.int64)
    arrivals = np.empty(steps.shape[0], np.uint32)
    following, found = lane_starts[:LANES].copy(), 0
    begin, offset = 0, 0
    for block in range(n_blocks):
        count = min(c.block, c.travel - offset)
        last = min(begin + count, c.n_steps)
        for lane in range(LANES):
            k = following[lane]
            while k < lane_starts[lane + 1] and steps[k] + c.delay <= last:
                arrivals[found] = (inputs[k] * c.block + steps[k] + c.delay - begin - 1) * LANES + lane
                found += 1
                k += 1
            following[lane] = k
        starts[block + 1] = found
        begin += count
        offset = offset + count if offset + count < c.travel else 0
    return arrivals[:found], starts


@kernel(inline=True)
def add_impulses(c: Constants, e: Experiments, m: Memory, place: int, block: int) -> None:
    """Add what arrives in a block to the impulses that begin at `place`."""
    for k in range(e.starts[block], e.starts[block + 1]):
        m.impulses[np.uint64(place) + np.uint64(e.arrivals[k])] += c.coupling


@kernel(inline=True)
def clear_impulses(e: Experiments, m: Memory, place: int, block: int) -> None:
    """Take it away again."""
    for k in range(e.starts[block], e.starts[block + 1]):
        m.impulses[np.uint64(place) + np.uint64(e.arrivals[k])] = 0.0


@kernel(inline=True)
def fill_responses(c: Constants, m: Memory, place: int, count: int) -> None:
    """Advance the unit responses s of all inputs by `count` steps into their blocks of the workspace.

    place: where the impulses of the first input begin.
    """
    width = c.block * LANES
    membrane, current = broadcast(c.membrane), broadcast(c.current)
    for j in range(c.n_inputs):
        v, i = load(m.responses, 2 * j * LANES), load(m.responses, (2 * j + 1) * LANES)
        for n in range(0, count * LANES, LANES):
            v = multiply_add(v, membrane, i)
            i = multiply_add(i, current, load(m.impulses, place + j * width + n))
            store(m.workspace, (RESPONSE + j) * width + n, v)
        store(m.responses, 2 * j * LANES, v)
        store(m.responses, (2 * j + 1) * LANES, i)


@kernel(inline=True)
def fill_targets(c: Constants, e: Experiments, m: Memory, begin: int, count: int, held: int) -> int:
    """Write v, the last sample of the teacher's potential before each step, into its block of the workspace.

    held: the sample that fills the whole block already, or −1; returned: the same for the next block.
    """
    first = TARGET * c.block * LANES
    since = begin - c.hold_phase  # a sample is first used in the step after it
    sample = since // c.hold_interval + 1 if since >= 0 else 0
    until = sample * c.hold_interval - since
    if until >= count:
        if sample != held:
            for n in range(c.block):
                store(m.workspace, first + n * LANES, load(e.held, sample * LANES))
        return sample
    for n in range(count):
        if n == until:
            sample += 1
            until += c.hold_interval
        store(m.workspace, first + n * LANES, load(e.held, sample * LANES))
    return -1
