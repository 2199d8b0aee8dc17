"""The compiled simulation of the supervised family: up to 16 experiments side by side, many rules.

Four things make it fast:

- What does not depend on the rule is computed once for all rules: the teacher (when an instance is built), the order of
  events (once per group of instances), the responses s.
- A weight is read 1 ms before it reaches the membrane. Within that time the student's potential does not depend on what
  the rule does, so potential, rule and weights are computed for a block of steps at a time, and the interpreter runs
  over steps × experiments values.
- A weight that is read at step n arrives at step n + travel, for every spike: so what arrives is a sum over the inputs
  of impulses times weights, step by step, and no spike is touched by a rule.
- Experiments are the lanes of vectors, written out (`lanes`).

Exact integration on the grid as in Rotter & Diesmann, Biol. Cybern. 81:381 (1999). Arithmetic is plain IEEE with
explicit fused multiply-adds, so that a lane's numbers do not depend on its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel.compiler import kernel
from ruleforge.kernel.functions import fused_multiply_add
from ruleforge.kernel.interpreter import ADD, DIVIDE, MULTIPLY, SUBTRACT
from ruleforge.kernel.lanes import LANES, add, broadcast, divide, load, multiply, multiply_add, store, subtract
from tasks.supervised.interpreter import run
from tasks.supervised.program import POTENTIAL, RESPONSE, TARGET, Code

# Sixteen float64 as one value; only compiled code has such.
Lanes = Any

# What became of a rule in one experiment.
RUNNING, NON_FINITE, REJECTED = range(3)
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
    (n_inputs, block, 16) impulses; starts: int64, where those of each block begin, with empty blocks for one travel time
    after the end; held: (n_samples + 1, 16) and compared: (n_comparisons, 16) float64, mV, and weights: (n_inputs, 16)
    float64, pA, at the start, all flat; n_lanes: lanes in use.
    """

    arrivals: NDArray[np.uint32]
    starts: NDArray[np.int64]
    held: NDArray[np.float64]
    compared: NDArray[np.float64]
    weights: NDArray[np.float64]
    n_lanes: int


class Memory(NamedTuple):
    """What the kernel works in, flat float64 on cache lines of 64 bytes, zero at the start.

    workspace: blocks of the interpreter, constants filled in; states: (n_rules, n_rows(c), 16) and a block of zeros; responses: (n_inputs,
    2, 16), potential and current of the unit responses; impulses: (2, n_inputs, block, 16), spikes that arrive in a
    block and one travel time later, scaled by the coupling; history: (n_inputs, block, 16), weights, if recorded.
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
def sort_arrivals(
    c: Constants, lane_starts: NDArray[np.int64], steps: NDArray[np.int64], inputs: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """`arrivals` and `starts` of Experiments.

    lane_starts: (17,), where each lane's spikes begin in steps (ascending within a lane) and inputs, (n_spikes,) each.
    """
    n_blocks = blocks_per_travel(c) * ((c.n_steps + c.travel - 1) // c.travel + 1)
    starts, following = np.zeros(n_blocks + 1, np.int64), np.zeros(n_blocks + 1, np.int64)
    arrivals = np.empty(steps.shape[0], np.uint32)
    for counting in (True, False):
        for lane in range(LANES):
            block, begin, offset, count = 0, 0, 0, c.block  # a block covers steps begin + 1 … begin + count
            for k in range(lane_starts[lane], lane_starts[lane + 1]):
                step = steps[k] + c.delay
                if step > c.n_steps:
                    break
                while step > begin + count:
                    block, begin, offset = block + 1, begin + count, (offset + count) % c.travel
                    count = min(c.block, c.travel - offset)
                if counting:
                    starts[block + 1] += 1
                else:
                    arrivals[following[block]] = (inputs[k] * c.block + step - begin - 1) * LANES + lane
                    following[block] += 1
        if counting:
            for block in range(n_blocks):
                starts[block + 1] += starts[block]
                following[block + 1] = starts[block + 1]
    return arrivals[: starts[n_blocks]].copy(), starts


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


@kernel(inline=True)
def advance_student(c: Constants, m: Memory, state: int, arriving: int, count: int) -> None:
    """Advance the student's potential by `count` steps into the block of u. state, arriving: places in the states."""
    width = c.block * LANES
    membrane, current, rest = broadcast(c.membrane), broadcast(c.current), broadcast(c.rest)
    v, i = load(m.states, state + MEMBRANE_ROW), load(m.states, state + CURRENT_ROW)
    for n in range(0, count * LANES, LANES):
        v = multiply_add(v, membrane, i)
        i = multiply_add(i, current, load(m.states, arriving + n))
        store(m.workspace, POTENTIAL * width + n, add(rest, v))
    store(m.states, state + MEMBRANE_ROW, v)
    store(m.states, state + CURRENT_ROW, i)


def mover(value_of: Callable[[Lanes, Lanes], Lanes]) -> Callable[..., None]:
    """The kernel that moves the weight of one input by what the rule's last operation makes of its two operands."""

    @kernel(inline=True)
    def move_weight(
        c: Constants,
        m: Memory,
        filtered: int,
        weights: int,
        a: int,
        b: int,
        impulses: int,
        before: int,
        arriving: int,
        count: int,
    ) -> None:
        """Low-pass the values of one input, move its weight, and send it with the input's spikes, `count` steps.

        a, b: operands, in the workspace; impulses: in the impulses; all others: in the states. before: what the inputs
        before this one send.
        """
        smoothing, learning = broadcast(c.smoothing), broadcast(c.learning)
        q, w = load(m.states, filtered), load(m.states, weights)
        for n in range(0, count * LANES, LANES):
            value = value_of(load(m.workspace, a + n), load(m.workspace, b + n))
            q = multiply_add(smoothing, q, value)
            w = multiply_add(learning, q, w)
            sent = multiply_add(load(m.impulses, impulses + n), w, load(m.states, before + n))
            store(m.states, arriving + n, sent)
        store(m.states, filtered, q)
        store(m.states, weights, w)

    compiled: Callable[..., None] = move_weight
    return compiled


@kernel(inline=True)
def same(a: Lanes, _b: Lanes) -> Lanes:
    """a."""
    return a


move_by_sum, move_by_difference = mover(add), mover(subtract)
move_by_product, move_by_quotient, move_by_value = mover(multiply), mover(divide), mover(same)


@kernel(inline=True)
def follow_weight(
    c: Constants,
    m: Memory,
    filtered: int,
    weights: int,
    values: int,
    impulses: int,
    before: int,
    arriving: int,
    begin: int,
    count: int,
    history: int,
) -> None:
    """The same as move_weight, for what is rare: weights that are read now and then only, or that are recorded.

    begin: the step before the first; history: place in the history.
    """
    smoothing, learning = broadcast(c.smoothing), broadcast(c.learning)
    read = weights + c.n_inputs * LANES
    for n in range(count):
        q = multiply_add(smoothing, load(m.states, filtered), load(m.workspace, values + n * LANES))
        w = multiply_add(learning, q, load(m.states, weights))
        store(m.states, filtered, q)
        store(m.states, weights, w)
        if (begin + n + 1) % c.reading_interval == 0:
            store(m.states, read, w)
        sent = multiply_add(
            load(m.impulses, impulses + n * LANES), load(m.states, read), load(m.states, before + n * LANES)
        )
        store(m.states, arriving + n * LANES, sent)
        if m.history.shape[0] > 0:
            store(m.history, history + n * LANES, w)


@kernel(inline=True)
def look(c: Constants, m: Memory, state: int, limit: float, n_lanes: int, status: NDArray[np.int64]) -> bool:
    """Whether a rule is still running in some lane; `status` of its lanes, (16,), is brought up to date.

    A value of the rule that is not finite stays in its low-pass filter for good, so that looking now and then suffices.
    """
    zero = broadcast(0.0)
    mark = zero  # NaN after the first ∞ or NaN
    for row in range(MEMBRANE_ROW, FILTERED_ROW + 2 * c.n_inputs * LANES, LANES):
        mark = multiply_add(load(m.states, state + row), zero, mark)
    store(m.states, state + MARK_ROW, mark)
    going = False
    for lane in range(n_lanes):
        # Whatever befell a lane first is kept: it must not depend on how long the others went on.
        if status[lane] == RUNNING:
            if math.isnan(m.states[state + MARK_ROW + lane]):
                status[lane] = NON_FINITE
            elif math.sqrt(m.states[state + ERROR_ROW + lane]) > limit:
                status[lane] = REJECTED
            else:
                going = True
    return going


@kernel()
def simulate(
    c: Constants,
    e: Experiments,
    code: Code,
    m: Memory,
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
    n_rules, n_inputs = status.shape[0], c.n_inputs
    width = c.block * LANES
    registers = m.workspace.reshape(-1, width)
    weights = FILTERED_ROW + n_inputs * LANES
    arriving = weights + 2 * n_inputs * LANES
    size = arriving + c.travel * LANES
    nothing = n_rules * size  # zeros behind the last state
    for rule in range(n_rules):
        for index in range(n_inputs * LANES):
            m.states[rule * size + weights + index] = e.weights[index]
            m.states[rule * size + weights + n_inputs * LANES + index] = e.weights[index]
    plain = c.reading_interval == 1 and recorded_potential.shape[0] == 0
    status[:] = RUNNING
    running = np.arange(n_rules)
    n_running = n_rules

    ahead = blocks_per_travel(c)
    record, sample, block, held = 0, 0, 0, -1
    compared = c.comparison_start
    if compared == 0:
        compared += c.comparison_interval
        sample = 1
    begin, offset = 0, 0  # offset: of `begin` in its travel time
    while begin < c.n_steps and n_running > 0:
        count = min(c.block, c.travel - offset, c.n_steps - begin)
        end = begin + count
        # Impulses that arrive now, and those that carry the weights of now and arrive one travel time later. If a block
        # lasts as long, the latter become the former.
        here = n_inputs * width * (block & 1)
        there = n_inputs * width - here
        if ahead > 1:
            add_impulses(c, e, m, here, block)
        add_impulses(c, e, m, there, block + ahead)
        fill_responses(c, m, here, count)
        held = fill_targets(c, e, m, begin, count, held)
        for position in range(n_running):
            rule = running[position]
            state = rule * size
            reached = state + arriving + offset * LANES
            advance_student(c, m, state, reached, count)
            for part in range(n_inputs + 1):  # what all inputs share, then input after input
                first, last = code.bounds[rule, part], code.bounds[rule, part + 1]
                # The last operation of an input is done as its weight moves, and its result is not stored.
                opcode = code.instructions[last - 1, 0] if plain and part > 0 and last > first else -1
                joined = opcode == ADD or opcode == SUBTRACT or opcode == MULTIPLY or opcode == DIVIDE
                run(code.instructions, first, last - joined, registers, m.workspace, count * LANES)
                if part == 0:
                    continue
                j = part - 1
                q, w = state + FILTERED_ROW + j * LANES, state + weights + j * LANES
                impulses, before = there + j * width, nothing if j == 0 else reached
                if joined:
                    a, b = code.instructions[last - 1, 2] * width, code.instructions[last - 1, 3] * width
                else:
                    a = b = code.results[rule, j] * width
                if not plain:
                    follow_weight(c, m, q, w, a, impulses, before, reached, begin, count, j * width)
                elif opcode == ADD:
                    move_by_sum(c, m, q, w, a, b, impulses, before, reached, count)
                elif opcode == SUBTRACT:
                    move_by_difference(c, m, q, w, a, b, impulses, before, reached, count)
                elif opcode == MULTIPLY:
                    move_by_product(c, m, q, w, a, b, impulses, before, reached, count)
                elif opcode == DIVIDE:
                    move_by_quotient(c, m, q, w, a, b, impulses, before, reached, count)
                else:
                    move_by_value(c, m, q, w, a, b, impulses, before, reached, count)
            squares = load(m.states, state + ERROR_ROW)
            step, row = compared, sample * LANES
            while step <= end:
                potential = load(m.workspace, POTENTIAL * width + (step - begin - 1) * LANES)
                difference = subtract(potential, load(e.compared, row))
                squares = multiply_add(difference, difference, squares)
                step += c.comparison_interval
                row += LANES
            store(m.states, state + ERROR_ROW, squares)
        while compared <= end:
            compared += c.comparison_interval
            sample += 1
        # With one rule, as for a recording, its blocks are still in place here.
        while record < recorded_potential.shape[0] and (record + 1) * c.comparison_interval <= end:
            place = ((record + 1) * c.comparison_interval - begin - 1) * LANES
            recorded_potential[record] = m.workspace[POTENTIAL * width + place]
            for j in range(n_inputs):
                recorded_weights[record, j] = m.history[j * width + place]
            record += 1
        if end // c.check > begin // c.check or end == c.n_steps:
            n_kept = 0
            for position in range(n_running):
                rule = running[position]
                if look(c, m, rule * size, limit, e.n_lanes, status[rule]):
                    running[n_kept] = rule
                    n_kept += 1
            n_running = n_kept
        clear_impulses(e, m, here, block)
        if ahead > 1:
            clear_impulses(e, m, there, block + ahead)
        offset = offset + count if offset + count < c.travel else 0
        block += 1
        begin = end
    for rule in range(n_rules):
        for lane in range(LANES):
            error[rule, lane] = math.sqrt(m.states[rule * size + ERROR_ROW + lane])
            for j in range(n_inputs):
                final_weights[rule, j, lane] = m.states[rule * size + weights + j * LANES + lane]
