"""Learning in the `correlation` family, compiled.

Every rule sees the same input spikes, so what is drawn and sorted once serves all of them; a rule then runs alone.

Published runs bring a synapse up to date when an input spike passes it. Here an output spike facilitates all synapses
at once, as one vector operation, in the same order for each synapse: a facilitation that reaches a synapse together
with an input spike comes first. What reaches a synapse after its last input spike must not count, so the weights that
are kept are those after each input spike.

Depression works on blocks of input spikes, all from different inputs and all under the trace of the output as it is
known so far. Then the membrane follows. If it fires within the block, what comes after that spike reached the synapses
is done again: no synapse was written yet.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel.compiler import kernel
from ruleforge.kernel.functions import exponential
from ruleforge.kernel.interpreter import interpret

Values = NDArray[np.float64]
Steps = NDArray[np.int32]

LANES = 256  # synapses that a facilitation treats at once: the registers of a program then stay in the first cache
BLOCK = 64  # input spikes that a depression treats at once, at most

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
    membrane: Values  # decay of the potential over 0, 1, 2 … steps, down to 0
    trace: Values  # the same of the traces
    slow_trace: Values


class Program(NamedTuple):
    """One slot of one rule: its instructions, the register of its value, and which signals it reads."""

    instructions: NDArray[np.int32]
    length: int
    result: int
    reads: NDArray[np.bool_]


class Neuron(NamedTuple):
    """State of the output neuron while it learns.

    potential: (1,) float64, V in step counts[V_STEP]; counts: (4,) int64, see below; outputs: steps of its spikes;
    trace, slow: its own two traces just before each of them.
    """

    potential: Values
    counts: NDArray[np.int64]
    outputs: Steps
    trace: Values
    slow: Values


ARRIVING, N_OUTPUTS, V_STEP, BLOCKED_UNTIL = range(4)  # ARRIVING: the first input spike that is not at the membrane


@kernel()
def _decays(time_constant: float, resolution: float, size: int) -> Values:
    table = np.empty(size)
    for n in range(size):
        table[n] = exponential(-(n * resolution) / time_constant)
    return table


def decay_table(time_constant: float, resolution: float, n_steps: int) -> Values:
    """exp(−n·h/τ) for n = 0 … n_steps, or up to where it is 0 in float64; the last element stands for all later."""
    size = min(n_steps, math.ceil(750 * time_constant / resolution)) + 2
    table: Values = _decays(time_constant, resolution, size)
    return table


@kernel(inline=True)
def _after(table: Values, steps: int) -> float:
    decay: float = table[min(steps, table.size - 1)]
    return decay


@kernel()
def _facilitate(
    arrival: int,
    program: Program,
    registers: Values,
    trace: Values,
    slow: Values,
    last: Steps,
    own: float,
    own_slow: float,
    settings: Settings,
) -> None:
    """An output spike reaches all synapses in step `arrival`: w ← w + λ·f(w, x), then at most 1."""
    n_inputs = trace.size
    for chunk in range(registers.shape[0]):
        base = chunk * LANES
        size = min(LANES, n_inputs - base)
        lanes = registers[chunk]
        if program.reads[X]:
            for i in range(size):
                lanes[X, i] = trace[base + i] * _after(settings.trace, arrival - last[base + i])
        if program.reads[X_SLOW]:
            for i in range(size):
                lanes[X_SLOW, i] = slow[base + i] * _after(settings.slow_trace, arrival - last[base + i])
        if program.reads[Y]:
            lanes[Y, :size] = own
        if program.reads[Y_SLOW]:
            lanes[Y_SLOW, :size] = own_slow
        interpret(program.instructions, program.length, lanes, size)
        for i in range(size):
            w = lanes[W, i] + settings.learning_rate * lanes[program.result, i]
            # Written so that NaN stays, as in the published runs.
            w = 1.0 if w > 1.0 else w
            lanes[W, i] = settings.lower_bound if w < settings.lower_bound else w


@kernel()
def _emit(now: int, index: int, neuron: Neuron, settings: Settings) -> None:
    if index:
        gap = now - neuron.outputs[index - 1]
        neuron.trace[index] = (neuron.trace[index - 1] + 1.0) * _after(settings.trace, gap)
        neuron.slow[index] = (neuron.slow[index - 1] + 1.0) * _after(settings.slow_trace, gap)
    neuron.outputs[index] = now


@kernel()
def _advance(
    horizon: int, end: int, stop_at_spike: bool, passes: Steps, carried: Values, neuron: Neuron, settings: Settings
) -> int:
    """Let the input spikes before index `end` that passed their synapses up to step `horizon` reach the membrane.

    The potential only falls between arrivals, so that a threshold can be crossed at arrivals alone. Returns the step
    of the first output spike if it was to stop there, else −1; an infinite potential is left as it is, and −1 returned.
    """
    arriving, n_outputs = neuron.counts[ARRIVING], neuron.counts[N_OUTPUTS]
    V, V_step, blocked_until = neuron.potential[0], neuron.counts[V_STEP], neuron.counts[BLOCKED_UNTIL]
    fired_at = -1
    while arriving < end and passes[arriving] <= horizon:
        now = passes[arriving] + settings.delay
        if now <= blocked_until:
            arriving += 1
            continue
        total = carried[arriving]
        arriving += 1
        while arriving < end and passes[arriving] + settings.delay == now:
            total += carried[arriving]
            arriving += 1
        V = V * _after(settings.membrane, now - V_step) + settings.maximal_weight * total
        V_step = now
        if settings.threshold <= V:
            if np.inf == V:
                break
            V = 0.0
            blocked_until = now + settings.refractory
            _emit(now, n_outputs, neuron, settings)
            n_outputs += 1
            if stop_at_spike:
                fired_at = now
                break
    neuron.counts[ARRIVING], neuron.counts[N_OUTPUTS] = arriving, n_outputs
    neuron.potential[0], neuron.counts[V_STEP], neuron.counts[BLOCKED_UNTIL] = V, V_step, blocked_until
    return fired_at


@kernel()
def learn(
    passes: Steps,
    inputs: Steps,
    distinct_until: Steps,
    initial_weights: Values,
    potential: float,
    facilitation: Program,
    synapses: Values,
    depression: Program,
    block: Values,
    settings: Settings,
    check: NDArray[np.int64],
    weights: Values,
    carried: Values,
    outputs: Steps,
    record_at: Steps,
    record: Values,
) -> tuple[int, int]:
    """Simulate learning. Returns a status (FINISHED, NON_FINITE, SATURATED) and the number of output spikes.

    synapses: (n_chunks, n_registers, LANES), block: (n_registers, BLOCK): registers with the constants in place.
    check: (first step, last step, output spikes): SATURATED is returned at the last step if so many came since the
    first; a last step of 0 leaves it out.
    Written: weights (n_inputs,) after each input's last spike; carried (n_spikes,), the weight that every input spike
    took to the membrane; outputs (enough,), steps of the output spikes; record (n_records, n_inputs), the weights when
    a step of `record_at` had passed, to within a block.
    """
    n_spikes, n_inputs, delay = passes.size, initial_weights.size, settings.delay
    for i in range(n_inputs):
        synapses[i // LANES, W, i % LANES] = initial_weights[i]
        weights[i] = initial_weights[i]
    trace, slow, last = np.zeros(n_inputs), np.zeros(n_inputs), np.zeros(n_inputs, np.int32)
    follows_slow = facilitation.reads[X_SLOW] or depression.reads[Y_SLOW]

    neuron = Neuron(np.zeros(1), np.zeros(4, np.int64), outputs, np.zeros(outputs.size), np.zeros(outputs.size))
    # A V(0) above threshold makes the neuron fire in the first step, without any input.
    neuron.potential[0] = potential * settings.membrane[1]
    neuron.counts[V_STEP] = 1
    neuron.counts[BLOCKED_UNTIL] = -1
    if settings.threshold <= neuron.potential[0]:
        _emit(1, 0, neuron, settings)
        neuron.counts[N_OUTPUTS] = 1
        neuron.potential[0] = 0.0
        neuron.counts[BLOCKED_UNTIL] = 1 + settings.refractory

    n_arrived = 0  # output spikes that have facilitated
    n_seen = 0  # output spikes that depression's x shows: those that arrived before, not in, the present step
    shown_trace, shown_slow, shown_step = 0.0, 0.0, 0
    n_records, checked = 0, check[1] == 0
    start = 0  # first input spike that has not passed its synapse
    while start < n_spikes:
        step = passes[start]
        _advance(step - 2 * delay, start, False, passes, carried, neuron, settings)
        if not math.isfinite(neuron.potential[0]):
            return NON_FINITE, neuron.counts[N_OUTPUTS]
        n_outputs = neuron.counts[N_OUTPUTS]
        while n_arrived < n_outputs and outputs[n_arrived] + delay <= step:
            own, own_slow = neuron.trace[n_arrived], neuron.slow[n_arrived]
            arrival = outputs[n_arrived] + delay
            _facilitate(arrival, facilitation, synapses, trace, slow, last, own, own_slow, settings)
            n_arrived += 1
        while n_seen < n_outputs and outputs[n_seen] + delay < step:
            shown_trace, shown_slow = neuron.trace[n_seen] + 1.0, neuron.slow[n_seen] + 1.0
            shown_step = outputs[n_seen] + delay
            n_seen += 1

        end = min(distinct_until[start], start + BLOCK)
        if n_seen < n_arrived:
            # An output spike arrived in this very step; x shows it from the next step on.
            while passes[end - 1] > step:
                end -= 1
        if n_arrived < n_outputs:
            while passes[end - 1] >= outputs[n_arrived] + delay:
                end -= 1

        size = end - start
        for j in range(size):
            i = inputs[start + j]
            block[W, j] = synapses[i // LANES, W, i % LANES]
        if depression.reads[X]:
            for j in range(size):
                block[X, j] = shown_trace * _after(settings.trace, passes[start + j] - shown_step)
        if depression.reads[X_SLOW]:
            for j in range(size):
                block[X_SLOW, j] = shown_slow * _after(settings.slow_trace, passes[start + j] - shown_step)
        if depression.reads[Y]:
            for j in range(size):
                i = inputs[start + j]
                block[Y, j] = trace[i] * _after(settings.trace, passes[start + j] - last[i])
        if depression.reads[Y_SLOW]:
            for j in range(size):
                i = inputs[start + j]
                block[Y_SLOW, j] = slow[i] * _after(settings.slow_trace, passes[start + j] - last[i])
        interpret(depression.instructions, depression.length, block, size)
        for j in range(size):
            w = block[W, j] - settings.learning_rate * block[depression.result, j]
            carried[start + j] = w if w > 0.0 else 0.0  # so that NaN becomes 0, as in the published runs

        fired_at = _advance(passes[end - 1] - 2 * delay, end, True, passes, carried, neuron, settings)
        if fired_at >= 0:
            while passes[end - 1] >= fired_at + delay:
                end -= 1
        for index in range(start, end):
            i = inputs[index]
            synapses[i // LANES, W, i % LANES] = carried[index]
            weights[i] = carried[index]
            gap = passes[index] - last[i]
            trace[i] = trace[i] * _after(settings.trace, gap) + 1.0
            if follows_slow:
                slow[i] = slow[i] * _after(settings.slow_trace, gap) + 1.0
            last[i] = passes[index]
        start = end

        while n_records < record_at.size and (start == n_spikes or record_at[n_records] < passes[start]):
            record[n_records] = weights
            n_records += 1
        if not checked and step >= check[1]:
            checked = True
            n_since = 0
            while n_since < n_outputs and outputs[n_outputs - 1 - n_since] >= check[0]:
                n_since += 1
            if n_since >= check[2]:
                return SATURATED, n_outputs
    _advance(settings.n_steps - delay, n_spikes, False, passes, carried, neuron, settings)
    if not math.isfinite(neuron.potential[0]) or not np.all(np.isfinite(weights)):
        return NON_FINITE, neuron.counts[N_OUTPUTS]
    return FINISHED, neuron.counts[N_OUTPUTS]
