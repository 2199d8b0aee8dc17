"""The compiled simulation of the supervised family: up to 16 experiments side by side, many rules.

Three things make it fast:

- What does not depend on the rule is computed once for all rules: the teacher (when an instance is built), the
  responses s, the order of events.
- A weight is read 1 ms before it reaches the membrane. Within that time the student's potential does not depend on what
  the rule does, so potential, rule and weights are computed for a block of steps at a time, and the interpreter runs
  over steps × experiments values.
- Experiments are the lanes of vectors, written out (`lanes`).

Exact integration on the grid as in Rotter & Diesmann, Biol. Cybern. 81:381 (1999). Arithmetic is plain IEEE with
explicit fused multiply-adds, so that a lane's numbers do not depend on its neighbours.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel.compiler import kernel
from ruleforge.kernel.functions import fused_multiply_add
from ruleforge.kernel.lanes import LANES, add, broadcast, load, multiply, multiply_add, store
from tasks.supervised.interpreter import run
from tasks.supervised.program import POTENTIAL, RESPONSE, TARGET, Code

# What became of a rule in one experiment.
RUNNING, NON_FINITE, REJECTED = range(3)
# Rows of a rule's state, 16 values each: potential and current of the student, squared error; then the filtered
# rule of each input, the weight of each input, and the weights under way.
MEMBRANE_ROW, CURRENT_ROW, ERROR_ROW, FILTERED_ROW = (row * LANES for row in range(4))


class Constants(NamedTuple):
    """Numbers that the kernel needs: propagators of one step, potentials in mV, times in steps.

    smoothing: e^{−h/τ_I}; learning: η·h; delay, reading, hold (the teacher's samples) and comparison as in the family's
    parameters, reading_interval 1 for none; block: steps computed together, at most delay − reading_delay; check: steps
    between two looks at which rules are still running.
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
    reading_delay: int
    reading_interval: int
    hold_phase: int
    hold_interval: int
    comparison_start: int
    comparison_interval: int


class Experiments(NamedTuple):
    """Up to 16 experiments, one per lane; unused lanes have no spikes.

    starts: (17,) int64, where each lane's spikes begin in steps and inputs, (n_spikes,) int64 each; held:
    (n_samples + 1, 16) and compared: (n_comparisons, 16) float64, mV; weights: (n_inputs·16,) float64, pA, at
    the start; n_lanes: lanes in use; capacity: a power of two, spikes of one lane that may be between reading and
    arrival.
    """

    starts: NDArray[np.int64]
    steps: NDArray[np.int64]
    inputs: NDArray[np.int64]
    held: NDArray[np.float64]
    compared: NDArray[np.float64]
    weights: NDArray[np.float64]
    n_lanes: int
    capacity: int


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
    potential = np.empty(n_steps + 1)
    v, i, index = 0.0, 0.0, 0
    potential[0] = rest
    while index < arrivals.shape[0] and arrivals[index] == 0:
        i += weights[index]
        index += 1
    for step in range(1, n_steps + 1):
        v = fused_multiply_add(v, membrane, i * coupling)
        i *= current
        while index < arrivals.shape[0] and arrivals[index] == step:
            i += weights[index]
            index += 1
        potential[step] = rest + v
    return potential


@kernel()
def due(
    c: Constants,
    e: Experiments,
    begin: int,
    end: int,
    next_read: NDArray[np.int64],
    next_arrival: NDArray[np.int64],
    reads: NDArray[np.int64],
    arrivals: NDArray[np.int64],
) -> tuple[int, int]:
    """Spikes whose weight is read, and spikes that reach the membrane, in steps begin + 1 … end; how many of each.

    next_read, next_arrival: (16,), state; reads, arrivals: (n_spikes, 2), written: place in a block of all inputs, and
    slot of the ring in which the weight travels. The order is lane by lane, so that sums do not depend on other lanes.
    """
    width = c.block * LANES
    n_reads, n_arrivals = 0, 0
    for lane in range(LANES):
        last = e.starts[lane + 1]
        k = next_read[lane]
        while k < last:
            step = e.steps[k] + c.reading_delay
            step -= step % c.reading_interval
            if step > end:
                break
            reads[n_reads, 0] = e.inputs[k] * width + (step - begin - 1) * LANES + lane
            reads[n_reads, 1] = ((k - e.starts[lane]) & (e.capacity - 1)) * LANES + lane
            n_reads += 1
            k += 1
        next_read[lane] = k
        k = next_arrival[lane]
        while k < last and e.steps[k] + c.delay <= end:
            arrivals[n_arrivals, 0] = e.inputs[k] * width + (e.steps[k] + c.delay - begin - 1) * LANES + lane
            arrivals[n_arrivals, 1] = ((k - e.starts[lane]) & (e.capacity - 1)) * LANES + lane
            n_arrivals += 1
            k += 1
        next_arrival[lane] = k
    return n_reads, n_arrivals


@kernel()
def fill_responses(
    c: Constants,
    arrivals: NDArray[np.int64],
    n_arrivals: int,
    state: NDArray[np.float64],
    impulses: NDArray[np.float64],
    workspace: NDArray[np.float64],
    count: int,
) -> None:
    """Advance the unit responses s of all inputs by `count` steps into their blocks of the workspace.

    state: (2·n_inputs·16,), potential and current of each input; impulses: (n_inputs·block·16,), zero before and after.
    """
    width = c.block * LANES
    for k in range(n_arrivals):
        impulses[arrivals[k, 0]] += 1.0
    membrane, current, coupling = broadcast(c.membrane), broadcast(c.current), broadcast(c.coupling)
    for j in range(c.n_inputs):
        v, i = load(state, 2 * j * LANES), load(state, (2 * j + 1) * LANES)
        for n in range(0, count * LANES, LANES):
            v = multiply_add(v, membrane, multiply(i, coupling))
            i = multiply_add(i, current, load(impulses, j * width + n))
            store(workspace, (RESPONSE + j) * width + n, v)
        store(state, 2 * j * LANES, v)
        store(state, (2 * j + 1) * LANES, i)
    for k in range(n_arrivals):
        impulses[arrivals[k, 0]] = 0.0


@kernel()
def fill_targets(
    c: Constants, held: NDArray[np.float64], workspace: NDArray[np.float64], begin: int, count: int
) -> None:
    """Write v, the last sample of the teacher's potential before each step, into its block of the workspace."""
    first = TARGET * c.block * LANES
    for n in range(count):
        since = begin + n - c.hold_phase  # a sample is first used in the step after it
        sample = since // c.hold_interval + 1 if since >= 0 else 0
        for lane in range(LANES):
            workspace[first + n * LANES + lane] = held[sample, lane]


@kernel()
def advance_student(
    c: Constants,
    state: NDArray[np.float64],
    ring: int,
    arrivals: NDArray[np.int64],
    n_arrivals: int,
    arriving: NDArray[np.float64],
    workspace: NDArray[np.float64],
    count: int,
) -> None:
    """Advance the student's potential by `count` steps into the block of u.

    arriving: (block·16,), zero before and after.
    """
    width = c.block * LANES
    for k in range(n_arrivals):
        arriving[arrivals[k, 0] % width] += state[ring + arrivals[k, 1]]
    membrane, current, coupling = broadcast(c.membrane), broadcast(c.current), broadcast(c.coupling)
    rest = broadcast(c.rest)
    v, i = load(state, MEMBRANE_ROW), load(state, CURRENT_ROW)
    for n in range(0, count * LANES, LANES):
        v = multiply_add(v, membrane, multiply(i, coupling))
        i = multiply_add(i, current, load(arriving, n))
        store(workspace, POTENTIAL * width + n, add(rest, v))
    store(state, MEMBRANE_ROW, v)
    store(state, CURRENT_ROW, i)
    for k in range(n_arrivals):
        arriving[arrivals[k, 0] % width] = 0.0


@kernel()
def move_weights(
    c: Constants,
    state: NDArray[np.float64],
    filtered: int,
    weights: int,
    workspace: NDArray[np.float64],
    values: int,
    history: NDArray[np.float64],
    first: int,
    count: int,
) -> None:
    """Low-pass the rule's values of one input and move its weight, `count` steps; the weights go into history."""
    smoothing, complement, learning = broadcast(c.smoothing), broadcast(1.0 - c.smoothing), broadcast(c.learning)
    q, w = load(state, filtered), load(state, weights)
    for n in range(0, count * LANES, LANES):
        q = multiply_add(smoothing, q, multiply(complement, load(workspace, values + n)))
        w = multiply_add(learning, q, w)
        store(history, first + n, w)
    store(state, filtered, q)
    store(state, weights, w)


@kernel()
def compare(
    c: Constants,
    compared: NDArray[np.float64],
    state: NDArray[np.float64],
    workspace: NDArray[np.float64],
    begin: int,
    end: int,
) -> None:
    """Add the squared differences to the teacher's potential in steps begin + 1 … end."""
    first = POTENTIAL * c.block * LANES
    step = c.comparison_start
    if begin >= step:
        step += ((begin - step) // c.comparison_interval + 1) * c.comparison_interval
    while 0 < step <= end:
        sample = (step - c.comparison_start) // c.comparison_interval
        for lane in range(LANES):
            difference = workspace[first + (step - begin - 1) * LANES + lane] - compared[sample, lane]
            state[ERROR_ROW + lane] = fused_multiply_add(difference, difference, state[ERROR_ROW + lane])
        step += c.comparison_interval


@kernel()
def look(state: NDArray[np.float64], lane: int, n_values: int, limit: float) -> int:
    """What has become of a rule in one lane; n_values: how many rows of the state are to be finite.

    A value of the rule that is not finite stays in its low-pass filter for good, so that looking now and then suffices.
    """
    for row in range(n_values):
        if not math.isfinite(state[row * LANES + lane]):
            return NON_FINITE
    return REJECTED if math.sqrt(state[ERROR_ROW + lane]) > limit else RUNNING


@kernel()
def simulate(
    c: Constants,
    e: Experiments,
    code: Code,
    registers: NDArray[np.float64],
    limit: float,
    error: NDArray[np.float64],
    status: NDArray[np.int64],
    final_weights: NDArray[np.float64],
    recorded_potential: NDArray[np.float64],
    recorded_weights: NDArray[np.float64],
) -> None:
    """Simulate every rule of `code` in every experiment.

    limit: a rule whose error exceeds it is given up. Written: error, (n_rules, 16), root of the summed squared
    difference, mV; status, (n_rules, 16); final_weights, (n_rules, n_inputs, 16), pA; recorded_potential, (n_records,),
    recorded_weights, (n_records, n_inputs), of rule 0 in lane 0 after every comparison_interval, or with no rows.
    """
    n_rules, n_inputs, width = status.shape[0], c.n_inputs, c.block * LANES
    workspace = registers.reshape(-1)
    filtered, weights = FILTERED_ROW, FILTERED_ROW + n_inputs * LANES
    ring = weights + n_inputs * LANES  # the weights of spikes between synapse and membrane
    states = np.zeros((n_rules, ring + e.capacity * LANES))
    states[:, weights:ring] = e.weights
    status[:] = RUNNING
    running = np.arange(n_rules)
    n_running = n_rules

    responses, impulses = np.zeros(2 * n_inputs * LANES), np.zeros(n_inputs * width)
    arriving, history = np.zeros(width), np.zeros(n_inputs * width)
    reads, arrivals = np.empty((e.steps.shape[0], 2), np.int64), np.empty((e.steps.shape[0], 2), np.int64)
    next_read, next_arrival = e.starts[:LANES].copy(), e.starts[:LANES].copy()

    begin, record = 0, 0
    while begin < c.n_steps and n_running > 0:
        count = min(c.block, c.n_steps - begin)
        end = begin + count
        n_reads, n_arrivals = due(c, e, begin, end, next_read, next_arrival, reads, arrivals)
        fill_responses(c, arrivals, n_arrivals, responses, impulses, workspace, count)
        fill_targets(c, e.held, workspace, begin, count)
        for position in range(n_running):
            rule = running[position]
            state = states[rule]
            advance_student(c, state, ring, arrivals, n_arrivals, arriving, workspace, count)
            run(code.instructions, code.bounds[rule, 0], code.bounds[rule, 1], registers, workspace, count * LANES)
            for j in range(n_inputs):
                first, last = code.bounds[rule, 1 + j], code.bounds[rule, 2 + j]
                run(code.instructions, first, last, registers, workspace, count * LANES)
                move_weights(
                    c, state, filtered + j * LANES, weights + j * LANES,
                    workspace, code.results[rule, j] * width, history, j * width, count,
                )  # fmt: skip
            for k in range(n_reads):
                state[ring + reads[k, 1]] = history[reads[k, 0]]
            compare(c, e.compared, state, workspace, begin, end)
        # With one rule, as for a recording, its blocks are still in place here.
        while record < recorded_potential.shape[0] and (record + 1) * c.comparison_interval <= end:
            place = ((record + 1) * c.comparison_interval - begin - 1) * LANES
            recorded_potential[record] = workspace[POTENTIAL * width + place]
            for j in range(n_inputs):
                recorded_weights[record, j] = history[j * width + place]
            record += 1
        if end // c.check > begin // c.check or end == c.n_steps:
            n_kept = 0
            for position in range(n_running):
                rule = running[position]
                keep = False
                for lane in range(e.n_lanes):
                    # Whatever befell a lane first is kept: it must not depend on how long the others went on.
                    if status[rule, lane] == RUNNING:
                        status[rule, lane] = look(states[rule], lane, ring // LANES, limit)
                        keep = keep or status[rule, lane] == RUNNING
                if keep:
                    running[n_kept] = rule
                    n_kept += 1
            n_running = n_kept
        begin = end
    for rule in range(n_rules):
        for lane in range(LANES):
            error[rule, lane] = math.sqrt(states[rule, ERROR_ROW + lane])
            for j in range(n_inputs):
                final_weights[rule, j, lane] = states[rule, weights + j * LANES + lane]
