"""Learning in the `correlation` family, compiled.

Every rule sees the same input spikes, so what is drawn and sorted once serves all of them; a rule then runs alone.

Published runs bring a synapse up to date when an input spike passes it. Here an output spike facilitates all synapses
at once, as one vector operation, in the same order for each synapse: a facilitation that reaches a synapse together
with an input spike comes first. What reaches a synapse after its last input spike must not count, so the weights that
are kept are those that the input spikes carried.

Depression works on blocks of input spikes, all from different inputs and all under the trace of the output as it is
known so far. Then the membrane follows. If it fires within the block, what comes after that spike reached the synapses
is done again: no synapse was written yet.

Traces of the inputs are kept relative to a reference step, as sums of exp((t − reference)/τ), so that they need no
decay of their own: at any time they all have one common factor. The reference moves on at fixed steps of the grid, so
what a trace is worth does not depend on what else happened.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel import lanes
from ruleforge.kernel.compiler import kernel
from ruleforge.kernel.functions import element, exponential, fused_multiply_add, set_element
from ruleforge.kernel.interpreter import interpret
from ruleforge.kernel.lanes import LANES

Values = NDArray[np.float64]
Steps = NDArray[np.int32]

CHUNK = 512  # synapses that a facilitation treats at once: the registers of a program then stay in the first cache
BLOCK = 64  # input spikes that a depression treats at once, at most
GROWTH = 32.0  # a trace's reference moves on before exp((t − reference)/τ) exceeds e to this power

# The signals of both slots, in register order; those after w are optional work.
W, X, X_SLOW, Y, Y_SLOW = range(5)

FINISHED, NON_FINITE, SATURATED = range(3)


class Settings(NamedTuple):
    """Numbers of one family, in steps, mV and units of the maximal weight."""

    n_steps: int
    delay: int  # from synapse to membrane, and back
    refractory: int
    threshold: float
    maximal_weight: float
    learning_rate: float
    lower_bound: float  # of a facilitation; −∞ for none
    readout: int
    first_window_in_baseline: bool
    epoch: int  # steps after which the reference of the traces moves on
    membrane: Values  # decay of the potential over 0, 1, 2 … steps, down to 0
    trace: Values  # the same of the traces
    slow_trace: Values
    trace_growth: Values  # the inverse of the traces' decay over 0 … epoch − 1 steps
    slow_trace_growth: Values


class Program(NamedTuple):
    """One slot of one rule: its instructions, the register of its value, and which signals it reads.

    registers: (n_registers, width) float64 with the constants in place; flat: the same memory, one-dimensional.
    """

    instructions: NDArray[np.int32]
    length: int
    result: int
    reads: NDArray[np.bool_]
    registers: Values
    flat: Values


def whole_lanes(n_values: int) -> int:
    """The number of values, rounded up to whole lanes."""
    return -(-n_values // LANES) * LANES


@kernel()
def _exponentials(step: float, time_constant: float, size: int) -> Values:
    table = np.empty(size)
    for n in range(size):
        table[n] = exponential(n * step / time_constant)
    return table


def decay_table(time_constant: float, resolution: float, n_steps: int) -> Values:
    """exp(−n·h/τ) for n = 0 … n_steps, or up to where it is 0 in float64; the last element stands for all later."""
    size = min(n_steps, math.ceil(750 * time_constant / resolution)) + 2
    table: Values = _exponentials(-resolution, time_constant, size)
    return table


def epoch_steps(*time_constants: float, resolution: float, n_steps: int) -> int:
    """Steps after which the reference of traces with these time constants moves on, if it does within n_steps."""
    return max(1, math.floor(min(n_steps + 1, GROWTH * min(time_constants) / resolution)))


def growth_table(time_constant: float, resolution: float, epoch: int) -> Values:
    """exp(n·h/τ) for n = 0 … epoch − 1."""
    table: Values = _exponentials(resolution, time_constant, epoch)
    return table


@kernel(inline=True)
def _after(table: Values, steps: int) -> float:
    decay: float = element(table, min(steps, table.size - 1))
    return decay


@kernel()
def _moved_reference(step: int, reference: int, trace: Values, slow: Values, settings: Settings) -> int:
    """The reference that holds in `step`; the traces are made relative to it, epoch by epoch."""
    n_epochs = (step - reference) // settings.epoch
    decay, slow_decay = _after(settings.trace, settings.epoch), _after(settings.slow_trace, settings.epoch)
    for _ in range(n_epochs):
        for i in range(trace.size):
            trace[i] *= decay
            slow[i] *= slow_decay
    return reference + n_epochs * settings.epoch


@kernel(inline=True)
def _facilitate(
    program: Program,
    synapses: Values,
    trace: Values,
    slow: Values,
    decay: float,
    slow_decay: float,
    own: float,
    own_slow: float,
    settings: Settings,
) -> None:
    """An output spike reaches all synapses: w ← w + λ·f(w, x), then at most 1, written so that NaN stays.

    synapses, trace, slow: (whole lanes,), the traces to be multiplied by `decay` and `slow_decay`.
    """
    flat = program.flat
    if program.reads[Y]:
        for offset in range(0, CHUNK, LANES):
            lanes.store(flat, Y * CHUNK + offset, lanes.broadcast(own))
    if program.reads[Y_SLOW]:
        for offset in range(0, CHUNK, LANES):
            lanes.store(flat, Y_SLOW * CHUNK + offset, lanes.broadcast(own_slow))
    rate, lower, one = (
        lanes.broadcast(settings.learning_rate),
        lanes.broadcast(settings.lower_bound),
        lanes.broadcast(1.0),
    )
    for base in range(0, synapses.size, CHUNK):
        size = min(CHUNK, synapses.size - base)
        if program.reads[W]:
            for offset in range(0, size, LANES):
                lanes.store(flat, W * CHUNK + offset, lanes.load(synapses, base + offset))
        if program.reads[X]:
            factor = lanes.broadcast(decay)
            for offset in range(0, size, LANES):
                lanes.store(flat, X * CHUNK + offset, lanes.multiply(lanes.load(trace, base + offset), factor))
        if program.reads[X_SLOW]:
            factor = lanes.broadcast(slow_decay)
            for offset in range(0, size, LANES):
                lanes.store(flat, X_SLOW * CHUNK + offset, lanes.multiply(lanes.load(slow, base + offset), factor))
        interpret(program.instructions, program.length, program.registers, size)
        for offset in range(0, size, LANES):
            change = lanes.multiply(rate, lanes.load(flat, program.result * CHUNK + offset))
            w = lanes.at_most(one, lanes.add(lanes.load(synapses, base + offset), change))
            lanes.store(synapses, base + offset, lanes.at_least(lower, w))


@kernel(inline=True)
def _depress(
    program: Program,
    start: int,
    size: int,
    passes: Steps,
    inputs: Steps,
    synapses: Values,
    trace: Values,
    slow: Values,
    reference: int,
    seen_at: int,
    seen: float,
    seen_slow: float,
    settings: Settings,
) -> None:
    """What the rule says of the `size` input spikes from `start` on, all from different inputs.

    trace, slow: of the inputs, relative to step `reference`; seen, seen_slow: of the output, in step `seen_at`.
    """
    block = program.flat
    for j in range(size):
        set_element(block, W * BLOCK + j, element(synapses, element(inputs, start + j)))
    if program.reads[X]:
        for j in range(size):
            x = seen * _after(settings.trace, element(passes, start + j) - seen_at)
            set_element(block, X * BLOCK + j, x)
    if program.reads[X_SLOW]:
        for j in range(size):
            x = seen_slow * _after(settings.slow_trace, element(passes, start + j) - seen_at)
            set_element(block, X_SLOW * BLOCK + j, x)
    if program.reads[Y]:
        for j in range(size):
            decay = _after(settings.trace, element(passes, start + j) - reference)
            set_element(block, Y * BLOCK + j, element(trace, element(inputs, start + j)) * decay)
    if program.reads[Y_SLOW]:
        for j in range(size):
            decay = _after(settings.slow_trace, element(passes, start + j) - reference)
            set_element(block, Y_SLOW * BLOCK + j, element(slow, element(inputs, start + j)) * decay)
    interpret(program.instructions, program.length, program.registers, size)


@kernel(inline=True)
def _add_to_traces(
    start: int, end: int, passes: Steps, inputs: Steps, reference: int, growths: Values, trace: Values
) -> None:
    for index in range(start, end):
        i = element(inputs, index)
        set_element(trace, i, element(trace, i) + element(growths, element(passes, index) - reference))


@kernel()
def weights_after(n_passed: int, inputs: Steps, carried: Values, initial_weights: Values) -> Values:
    """(n_inputs,): what the last of the first `n_passed` spikes of each input carried, or else its initial weight."""
    weights = initial_weights.copy()
    missing = np.ones(weights.size, np.bool_)
    n_missing = weights.size
    index = n_passed - 1
    while index >= 0 and n_missing:
        i = inputs[index]
        if missing[i]:
            missing[i] = False
            n_missing -= 1
            weights[i] = carried[index]
        index -= 1
    return weights


@kernel()
def learn(
    passes: Steps,
    inputs: Steps,
    distinct_until: Steps,
    initial_weights: Values,
    potential: float,
    facilitation: Program,
    depression: Program,
    settings: Settings,
    check: NDArray[np.int64],
    synapses: Values,
    trace: Values,
    slow: Values,
    carried: Values,
    outputs: Steps,
) -> tuple[int, int, int]:
    """Simulate learning. Returns a status, the number of input spikes that passed, and that of output spikes.

    facilitation, depression: with registers of CHUNK and BLOCK values.
    check: (first step, last step, output spikes): SATURATED is returned at the last step if so many came since the
    first; a last step of 0 leaves it out. NON_FINITE is returned where the potential becomes infinite.
    synapses, trace, slow: (whole lanes,) to work in.
    Written: carried (n_spikes + LANES,), the weight that every input spike took to the membrane; outputs (enough,),
    steps of the output spikes.
    """
    n_spikes, n_inputs, delay = passes.size, initial_weights.size, settings.delay
    synapses[:n_inputs], synapses[n_inputs:] = initial_weights, 0.0
    trace[:] = 0.0
    slow[:] = 0.0
    follows = facilitation.reads[X] or depression.reads[Y]
    follows_slow = facilitation.reads[X_SLOW] or depression.reads[Y_SLOW]
    reference = 0  # step to which trace and slow are relative
    block = depression.flat
    rate = lanes.broadcast(settings.learning_rate)

    # V just after the input spikes that passed their synapses in step V_pass and before it reached the membrane.
    V, V_pass = potential * settings.membrane[1], 1 - delay
    blocked_until, n_outputs = -1, 0
    # A V(0) above threshold makes the neuron fire in the first step, without any input.
    if settings.threshold <= V:
        outputs[0], n_outputs = 1, 1
        V, blocked_until = 0.0, 1 + settings.refractory
    arriving = 0  # first input spike that is not at the membrane
    # Output spikes that have facilitated, the step of the last of them and the output's traces just after it …
    n_arrived, arrived_at, arrived, arrived_slow = 0, 0, 0.0, 0.0
    # … and the same of those that depression's x shows: they came before, not in, the present step.
    n_seen, seen_at, seen, seen_slow = 0, 0, 0.0, 0.0
    unchecked = check[1] > 0
    start = 0  # first input spike that has not passed its synapse
    while start < n_spikes:
        step = passes[start]
        if unchecked and step >= check[1]:
            unchecked = False
            n_since = 0
            while n_since < n_outputs and outputs[n_outputs - 1 - n_since] >= check[0]:
                n_since += 1
            if n_since >= check[2]:
                return SATURATED, start, n_outputs
        while n_arrived < n_outputs and outputs[n_arrived] + delay <= step:
            at = outputs[n_arrived] + delay
            own = arrived * _after(settings.trace, at - arrived_at)
            own_slow = arrived_slow * _after(settings.slow_trace, at - arrived_at)
            if at >= reference + settings.epoch:
                reference = _moved_reference(at, reference, trace, slow, settings)
            decay, slow_decay = _after(settings.trace, at - reference), _after(settings.slow_trace, at - reference)
            _facilitate(facilitation, synapses, trace, slow, decay, slow_decay, own, own_slow, settings)
            arrived_at, arrived, arrived_slow = at, own + 1.0, own_slow + 1.0
            n_arrived += 1
        while n_seen < n_arrived and outputs[n_seen] + delay < step:
            at = outputs[n_seen] + delay
            seen = seen * _after(settings.trace, at - seen_at) + 1.0
            seen_slow = seen_slow * _after(settings.slow_trace, at - seen_at) + 1.0
            seen_at = at
            n_seen += 1
        if step >= reference + settings.epoch:
            reference = _moved_reference(step, reference, trace, slow, settings)

        # The block ends before the reference moves, and before the next output spike reaches the synapses; x shows one
        # that arrived in this very step from the next step on.
        upto = reference + settings.epoch - 1
        if n_seen < n_arrived:
            upto = step
        elif n_arrived < n_outputs:
            upto = min(upto, outputs[n_arrived] + delay - 1)
        end = min(distinct_until[start], start + BLOCK)
        while element(passes, end - 1) > upto:
            end -= 1
        size = end - start
        _depress(
            depression,
            start,
            size,
            passes,
            inputs,
            synapses,
            trace,
            slow,
            reference,
            seen_at,
            seen,
            seen_slow,
            settings,
        )
        for offset in range(0, size, LANES):
            change = lanes.multiply(rate, lanes.load(block, depression.result * BLOCK + offset))
            # So that NaN becomes 0, as in the published runs. What is beyond the block is written again by the next.
            w = lanes.where_greater(lanes.subtract(lanes.load(block, W * BLOCK + offset), change), lanes.broadcast(0.0))
            lanes.store(carried, start + offset, w)

        # The membrane, far enough that every output spike that reaches the synapses up to the next block is known. It
        # only falls between arrivals, and weights are not negative: a threshold can be crossed at arrivals alone.
        fired = True
        while fired:
            fired = False
            limit = passes[end] - 2 * delay if end < n_spikes else settings.n_steps - delay
            last = end
            while last > arriving and element(passes, last - 1) > limit:
                last -= 1
            while arriving < last and element(passes, arriving) + delay <= blocked_until:
                arriving += 1
            while arriving < last:
                now = element(passes, arriving)
                decay = _after(settings.membrane, now - V_pass)
                V = fused_multiply_add(V, decay, settings.maximal_weight * element(carried, arriving))
                V_pass = now
                arriving += 1
                if settings.threshold <= V:
                    fired = True
                    break
            if fired:
                while arriving < end and passes[arriving] == V_pass:
                    V += settings.maximal_weight * carried[arriving]
                    arriving += 1
                if np.inf == V:
                    return NON_FINITE, start, n_outputs
                outputs[n_outputs] = V_pass + delay
                n_outputs += 1
                V, blocked_until = 0.0, V_pass + delay + settings.refractory
                while element(passes, end - 1) >= V_pass + 2 * delay:
                    end -= 1

        for index in range(start, end):
            set_element(synapses, element(inputs, index), element(carried, index))
        if follows:
            _add_to_traces(start, end, passes, inputs, reference, settings.trace_growth, trace)
        if follows_slow:
            _add_to_traces(start, end, passes, inputs, reference, settings.slow_trace_growth, slow)
        start = end
    return FINISHED, n_spikes, n_outputs
