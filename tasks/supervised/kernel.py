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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel.compiler import kernel
from ruleforge.kernel.interpreter import ADD, DIVIDE, MULTIPLY, SUBTRACT
from ruleforge.kernel.lanes import LANES, add, broadcast, divide, load, multiply, multiply_add, store, subtract
from tasks.supervised.inputs import add_impulses, clear_impulses, fill_responses, fill_targets
from tasks.supervised.interpreter import run
from tasks.supervised.layout import (
    CURRENT_ROW,
    ERROR_ROW,
    FILTERED_ROW,
    MARK_ROW,
    MEMBRANE_ROW,
    Constants,
    Experiments,
    Memory,
    blocks_per_travel,
)
from tasks.supervised.program import POTENTIAL, Code

# Sixteen float64 as one value; only compiled code has such.
Lanes = Any

# What became of a rule in one experiment.
RUNNING, NON_FINITE, REJECTED = range(3)


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
    """A kernel that moves the weights of one or two inputs by what the rule's last operation makes of its operands."""

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

    @kernel(inline=True)
    def move_two(
        c: Constants,
        m: Memory,
        filtered: int,
        weights: int,
        a: int,
        b: int,
        a_next: int,
        b_next: int,
        impulses: int,
        before: int,
        arriving: int,
        count: int,
    ) -> None:
        """The same for an input and the next one."""
        width = c.block * LANES
        smoothing, learning = broadcast(c.smoothing), broadcast(c.learning)
        q, w = load(m.states, filtered), load(m.states, weights)
        q_next, w_next = load(m.states, filtered + LANES), load(m.states, weights + LANES)
        for n in range(0, count * LANES, LANES):
            value = value_of(load(m.workspace, a + n), load(m.workspace, b + n))
            q = multiply_add(smoothing, q, value)
            w = multiply_add(learning, q, w)
            sent = multiply_add(load(m.impulses, impulses + n), w, load(m.states, before + n))
            value = value_of(load(m.workspace, a_next + n), load(m.workspace, b_next + n))
            q_next = multiply_add(smoothing, q_next, value)
            w_next = multiply_add(learning, q_next, w_next)
            sent = multiply_add(load(m.impulses, impulses + width + n), w_next, sent)
            store(m.states, arriving + n, sent)
        store(m.states, filtered, q)
        store(m.states, weights, w)
        store(m.states, filtered + LANES, q_next)
        store(m.states, weights + LANES, w_next)

    @kernel(inline=True)
    def move(
        c: Constants,
        m: Memory,
        two: bool,
        filtered: int,
        weights: int,
        a: int,
        b: int,
        a_next: int,
        b_next: int,
        impulses: int,
        before: int,
        arriving: int,
        count: int,
    ) -> None:
        """One input, or two: each would wait for its own last step."""
        if two:
            move_two(c, m, filtered, weights, a, b, a_next, b_next, impulses, before, arriving, count)
        else:
            move_weight(c, m, filtered, weights, a, b, impulses, before, arriving, count)

    compiled: Callable[..., None] = move
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
def look(c: Constants, m: Memory, rule: int, state: int, limit: float, n_lanes: int, status: NDArray[np.int64]) -> bool:
    """Whether a rule is still running in some lane; `status`, (16, n_rules), is brought up to date.

    A value of the rule that is not finite stays in its low-pass filter for good, so that looking now and then suffices.
    Errors only grow, so that a mean error above the limit stays there; with a limit, one lane that is not finite
    decides about all of them.
    """
    zero = broadcast(0.0)
    mark = zero  # NaN after the first ∞ or NaN
    for row in range(MEMBRANE_ROW, FILTERED_ROW + 2 * c.n_inputs * LANES, LANES):
        mark = multiply_add(load(m.states, state + row), zero, mark)
    store(m.states, state + MARK_ROW, mark)
    going, error, finite = False, 0.0, True
    for lane in range(n_lanes):
        # Whatever befell a lane first is kept: it must not depend on how long the others went on.
        if status[lane, rule] == RUNNING and math.isnan(m.states[state + MARK_ROW + lane]):
            status[lane, rule] = NON_FINITE
        if status[lane, rule] == RUNNING:
            going = True
        else:
            finite = False
        error += math.sqrt(m.states[state + ERROR_ROW + lane])
    # The mean that others form of the same errors may differ in its last bits.
    if limit < math.inf and (not finite or error / n_lanes > limit * (1.0 + 1e-12)):
        for lane in range(n_lanes):
            if status[lane, rule] == RUNNING:
                status[lane, rule] = REJECTED
        return False
    return going


@kernel()
def simulate(
    c: Constants,
    e: Experiments,
    code: Code,
    m: Memory,
    limit: float,
    fitness: NDArray[np.float64],
    status: NDArray[np.int64],
    weight_error: NDArray[np.float64],
    recorded_potential: NDArray[np.float64],
    recorded_weights: NDArray[np.float64],
) -> None:
    """Simulate every rule of `code` in every experiment.

    limit: a rule whose mean error over the experiments exceeds it is given up on all of them. Written: status, fitness
    and weight_error, (16, n_rules): minus the root of the summed squared difference of potentials, mV, −∞ unless still
    running; root of the mean squared difference of weights at the end, pA, NaN unless still running.
    recorded_potential, (n_records,), recorded_weights, (n_records, n_inputs), of rule 0 in lane 0 after every
    comparison_interval, or with no rows.
    """
    n_rules, n_inputs = status.shape[1], c.n_inputs
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
                joined = opcode in (ADD, SUBTRACT, MULTIPLY, DIVIDE)
                run(code.instructions, first, last - joined, registers, m.workspace, count * LANES)
                if part == 0 or (plain and part % 2 == 1 and part < n_inputs):
                    continue  # two inputs go together
                two = plain and part % 2 == 0
                j = part - 2 if two else part - 1
                q, w = state + FILTERED_ROW + j * LANES, state + weights + j * LANES
                impulses, before = there + j * width, nothing if j == 0 else reached
                if joined:
                    a_next, b_next = code.instructions[last - 1, 2] * width, code.instructions[last - 1, 3] * width
                    a, b = a_next, b_next
                    if two:
                        a, b = code.instructions[first - 1, 2] * width, code.instructions[first - 1, 3] * width
                else:
                    a_next = b_next = code.results[rule, part - 1] * width
                    a = b = code.results[rule, j] * width
                if not plain:
                    follow_weight(c, m, q, w, a, impulses, before, reached, begin, count, j * width)
                elif opcode == ADD:
                    move_by_sum(c, m, two, q, w, a, b, a_next, b_next, impulses, before, reached, count)
                elif opcode == SUBTRACT:
                    move_by_difference(c, m, two, q, w, a, b, a_next, b_next, impulses, before, reached, count)
                elif opcode == MULTIPLY:
                    move_by_product(c, m, two, q, w, a, b, a_next, b_next, impulses, before, reached, count)
                elif opcode == DIVIDE:
                    move_by_quotient(c, m, two, q, w, a, b, a_next, b_next, impulses, before, reached, count)
                else:
                    move_by_value(c, m, two, q, w, a, b, a_next, b_next, impulses, before, reached, count)
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
                if look(c, m, rule, rule * size, limit, e.n_lanes, status):
                    running[n_kept] = rule
                    n_kept += 1
            n_running = n_kept
        clear_impulses(e, m, here, block)
        if ahead > 1:
            clear_impulses(e, m, there, block + ahead)
        offset = offset + count if offset + count < c.travel else 0
        block += 1
        begin = end
    for lane in range(LANES):
        for rule in range(n_rules):
            if status[lane, rule] != RUNNING:
                fitness[lane, rule], weight_error[lane, rule] = -math.inf, math.nan
                continue
            fitness[lane, rule] = -math.sqrt(m.states[rule * size + ERROR_ROW + lane])
            squared = 0.0
            for index in range(lane, n_inputs * LANES, LANES):
                squared += (m.states[rule * size + weights + index] - e.teacher[index]) ** 2
            weight_error[lane, rule] = math.sqrt(squared / n_inputs)
