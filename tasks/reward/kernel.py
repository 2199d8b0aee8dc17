"""The compiled simulation of the reward family: 16 rules side by side on one instance.

All rules of a batch see the same patterns in the same order, so that each array below has one value per rule (a lane),
and one instruction moves several rules. Two things make it fast:

- The membrane needs two numbers per lane, potential and current, not a state per synapse.
- The eligibility needs no trace per synapse. With g_n = spike_n − φ(V_n)·h and discount d_n = e^{−(T−t_n)/τ_E},
  E_j is a sum over the input's arrivals a of Σ_{n>a} κ·c·(P_m^{n−a} − P_s^{n−a})·g_n·d_n, with c, P_m, P_s from the
  propagators. Between two arrivals only the two sums over that segment are kept; one backward pass over the segments
  gives every E_j.

Spikes: one exponential number per output spike, compared with the integrated hazard.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel.compiler import kernel
from ruleforge.kernel.interpreter import interpret
from ruleforge.kernel.lanes import (
    LANES,
    add,
    any_at_most_zero,
    at_least,
    broadcast,
    exponential_lanes,
    load,
    multiply,
    multiply_add,
    negated_multiply_add,
    store,
    subtract,
    zero_unless_at_least,
)

# Rows of the state, LANES values each. REMAINING: what is left of the hazard that the next spike waits for; FREE_FROM:
# the first step after the refractory period; SLOW_SUM, FAST_SUM: the sums of this segment.
POTENTIAL, CURRENT, REMAINING, FREE_FROM, SLOW_SUM, FAST_SUM = (row * LANES for row in range(6))
N_ROWS = 6
# Signals in register order; `tasks.reward.family` declares the slot in the same order.
REWARD, ELIGIBILITY, MEAN, MEAN_POSITIVE, MEAN_NEGATIVE = range(5)
ALIVE, NON_FINITE = 0, 1


@kernel(inline=True)
def exponential_deviate(seed: int, count: int) -> float:
    """Number `count` of the stream `seed`: exponential with mean 1, by counter (SplitMix64, Steele et al. 2014)."""
    z = np.uint64(seed) + (np.uint64(count) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return -math.log((float(z >> np.uint64(11)) + 0.5) * 2.0**-53)


# Places of the constants.
(
    MEMBRANE, SYNAPTIC, COUPLING, AMPLITUDE, THRESHOLD, INVERSE_SCALE, SCALE_RATIO, HAZARD_SCALE, GAIN,
    REFRACTORY_STEPS, LEARNING_RATE, AVERAGING, COMPENSATION,
) = range(13)  # fmt: skip
N_CONSTANTS = 13
PUBLISHED_SCALE_RATIO = 25.0
# Its 25th power, e**−700, is still a normal number (and no hazard); subnormal ones would take twice the time.
HAZARD_FLOOR = math.exp(-28.0)


def _make_run_segment(published_ratio: bool) -> Any:
    """Two variants: with δ_E/δ = 25 as published the hazard is a power of what the eligibility needs anyway.

    A kernel may close over plain values, never over other kernels: numba would compile it anew in every process.
    """

    @kernel()
    def run_segment(
        state: NDArray[np.float64],
        first: int,
        last: int,
        constants: NDArray[np.float64],
        slow_factors: NDArray[np.float64],
        fast_factors: NDArray[np.float64],
        seed: int,
        n_drawn: NDArray[np.int64],
    ) -> None:
        """Steps first … last, after an arrival at the end of step first − 1.

        slow_factors, fast_factors: what g of the m-th step weighs in the two sums, without the discount of the arrival.
        """
        membrane, synaptic = broadcast(constants[MEMBRANE]), broadcast(constants[SYNAPTIC])
        coupling, inverse_scale = broadcast(constants[COUPLING]), broadcast(constants[INVERSE_SCALE])
        offset = broadcast(-constants[THRESHOLD] * constants[INVERSE_SCALE])
        ratio, hazard_scale = broadcast(constants[SCALE_RATIO]), broadcast(constants[HAZARD_SCALE])
        compensation, hazard_floor = constants[COMPENSATION], broadcast(HAZARD_FLOOR)
        potential, current = load(state, POTENTIAL), load(state, CURRENT)
        remaining, free_from = load(state, REMAINING), load(state, FREE_FROM)
        slow_sum, fast_sum = broadcast(0.0), broadcast(0.0)
        for step in range(first, last + 1):
            slow, fast = slow_factors[step - first + 1], fast_factors[step - first + 1]
            free = multiply_add(potential, membrane, multiply(current, coupling))
            potential = zero_unless_at_least(broadcast(float(step)), free_from, free)
            current = multiply(current, synaptic)
            exponent = multiply_add(potential, inverse_scale, offset)
            x = exponential_lanes(exponent)
            if published_ratio:
                base = at_least(hazard_floor, x)
                x2 = multiply(base, base)
                x4 = multiply(x2, x2)
                x8 = multiply(x4, x4)
                hazard = multiply(multiply(multiply(x8, x8), x8), base)
            else:
                hazard = exponential_lanes(multiply(exponent, ratio))
            remaining = negated_multiply_add(hazard, hazard_scale, remaining)
            slow_sum = negated_multiply_add(x, broadcast(compensation * slow), slow_sum)
            fast_sum = negated_multiply_add(x, broadcast(compensation * fast), fast_sum)
            if any_at_most_zero(remaining):
                store(state, POTENTIAL, potential)
                store(state, REMAINING, remaining)
                store(state, FREE_FROM, free_from)
                store(state, SLOW_SUM, slow_sum)
                store(state, FAST_SUM, fast_sum)
                for lane in range(LANES):
                    if state[REMAINING + lane] <= 0.0:
                        n_drawn[lane] += 1
                        state[REMAINING + lane] = exponential_deviate(seed, n_drawn[lane])
                        state[FREE_FROM + lane] = step + constants[REFRACTORY_STEPS] + 1.0
                        state[POTENTIAL + lane] = 0.0
                        state[SLOW_SUM + lane] += constants[GAIN] * slow
                        state[FAST_SUM + lane] += constants[GAIN] * fast
                potential = load(state, POTENTIAL)
                remaining, free_from = load(state, REMAINING), load(state, FREE_FROM)
                slow_sum, fast_sum = load(state, SLOW_SUM), load(state, FAST_SUM)
        store(state, POTENTIAL, potential)
        store(state, CURRENT, current)
        store(state, REMAINING, remaining)
        store(state, FREE_FROM, free_from)
        store(state, SLOW_SUM, slow_sum)
        store(state, FAST_SUM, fast_sum)

    return run_segment


run_segment_published = _make_run_segment(True)
run_segment_general = _make_run_segment(False)


@kernel()
def run_trial(
    state: NDArray[np.float64],
    weights: NDArray[np.float64],
    eligibilities: NDArray[np.float64],
    sums: NDArray[np.float64],
    starts: NDArray[np.int64],
    arrival_steps: NDArray[np.int32],
    arrival_inputs: NDArray[np.int32],
    constants: NDArray[np.float64],
    membrane_powers: NDArray[np.float64],
    synaptic_powers: NDArray[np.float64],
    slow_factors: NDArray[np.float64],
    fast_factors: NDArray[np.float64],
    discounts: NDArray[np.float64],
    seed: int,
    n_drawn: NDArray[np.int64],
    published_ratio: bool,
) -> None:
    """One trial. weights, eligibilities: (n_inputs·LANES,), the latter written; n_drawn: (LANES,), spikes."""
    n_steps = discounts.shape[0] - 1
    n_arrivals = arrival_steps.shape[0]
    state[:] = 0.0
    n_drawn[:] = 0
    for lane in range(LANES):
        state[REMAINING + lane] = exponential_deviate(seed, 0)
    # Forward, arrival by arrival: a segment covers the steps after `start` to the next arrival, inclusive.
    start, arrival, n_segments = 0, 0, 0
    while start < n_steps:
        last = n_steps
        if arrival < n_arrivals:
            last = arrival_steps[arrival]
        if published_ratio:
            run_segment_published(state, start + 1, last, constants, slow_factors, fast_factors, seed, n_drawn)
        else:
            run_segment_general(state, start + 1, last, constants, slow_factors, fast_factors, seed, n_drawn)
        starts[n_segments] = start
        discount = broadcast(discounts[start])
        store(sums, 2 * n_segments * LANES, multiply(load(state, SLOW_SUM), discount))
        store(sums, (2 * n_segments + 1) * LANES, multiply(load(state, FAST_SUM), discount))
        n_segments += 1
        current = load(state, CURRENT)
        while arrival < n_arrivals and arrival_steps[arrival] == last:
            current = add(current, load(weights, arrival_inputs[arrival] * LANES))
            arrival += 1
        store(state, CURRENT, current)
        start = last
    # Backward: what each arrival contributes to the eligibility of its input.
    eligibilities[:] = 0.0
    amplitude = broadcast(constants[AMPLITUDE])
    slow_sum, fast_sum = broadcast(0.0), broadcast(0.0)
    end = n_steps
    for segment in range(n_segments - 1, 0, -1):
        start = starts[segment]
        slow, fast = broadcast(membrane_powers[end - start]), broadcast(synaptic_powers[end - start])
        slow_sum = multiply_add(slow_sum, slow, load(sums, 2 * segment * LANES))
        fast_sum = multiply_add(fast_sum, fast, load(sums, (2 * segment + 1) * LANES))
        end = start
        contribution = multiply(amplitude, subtract(slow_sum, fast_sum))
        while arrival > 0 and arrival_steps[arrival - 1] == start:
            arrival -= 1
            place = arrival_inputs[arrival] * LANES
            store(eligibilities, place, add(load(eligibilities, place), contribution))


@kernel()
def apply_rule(
    lane: int,
    reward: float,
    means: NDArray[np.float64],
    weights: NDArray[np.float64],
    eligibilities: NDArray[np.float64],
    n_inputs: int,
    learning_rate: float,
    instructions: NDArray[np.int32],
    length: int,
    result: int,
    registers: NDArray[np.float64],
) -> bool:
    """Move the weights of one lane by its rule; False if a weight is no longer finite."""
    for j in range(n_inputs):
        registers[REWARD, j] = reward
        registers[ELIGIBILITY, j] = eligibilities[j * LANES + lane]
        registers[MEAN, j] = means[lane]
        registers[MEAN_POSITIVE, j] = means[LANES + lane]
        registers[MEAN_NEGATIVE, j] = means[2 * LANES + lane]
    interpret(instructions, length, registers, n_inputs)
    finite = True
    for j in range(n_inputs):
        weight = weights[j * LANES + lane] + learning_rate * registers[result, j]
        weights[j * LANES + lane] = weight
        finite = finite and math.isfinite(weight)
    return finite


@kernel()
def run_trials(
    published_ratio: bool,
    n_trials: int,
    order: NDArray[np.int32],
    labels: NDArray[np.float64],
    offsets: NDArray[np.int64],
    arrival_steps: NDArray[np.int32],
    arrival_inputs: NDArray[np.int32],
    noise_seeds: NDArray[np.uint64],
    constants: NDArray[np.float64],
    membrane_powers: NDArray[np.float64],
    synaptic_powers: NDArray[np.float64],
    slow_factors: NDArray[np.float64],
    fast_factors: NDArray[np.float64],
    discounts: NDArray[np.float64],
    instructions: NDArray[np.int32],
    lengths: NDArray[np.int32],
    results: NDArray[np.int32],
    registers: NDArray[np.float64],
    n_rules: int,
    weights: NDArray[np.float64],
    rewards: NDArray[np.float64],
    spike_counts: NDArray[np.int64],
    recorded_weights: NDArray[np.float64],
    recorded_eligibilities: NDArray[np.float64],
    outcome: NDArray[np.int64],
) -> None:
    """Learn for n_trials with up to LANES rules; published_ratio: δ_E/δ is PUBLISHED_SCALE_RATIO.

    weights: (n_inputs·LANES,) pA, initial, changed in place; rewards: (n_trials, LANES), ±1, written;
    spike_counts: (LANES,), output spikes, added to; recorded_weights, recorded_eligibilities: (n_trials, n_inputs)
    of lane 0, or with no rows; outcome: (LANES,), ALIVE or NON_FINITE, written.
    """
    n_inputs = weights.shape[0] // LANES
    longest = 2
    for pattern in range(labels.shape[0]):
        longest = max(longest, offsets[pattern + 1] - offsets[pattern] + 2)
    state = np.zeros(N_ROWS * LANES)
    eligibilities = np.zeros(n_inputs * LANES)
    sums = np.zeros(longest * 2 * LANES)
    starts = np.zeros(longest, dtype=np.int64)
    means = np.zeros(3 * LANES)
    n_drawn = np.zeros(LANES, dtype=np.int64)
    n_alive = n_rules
    for trial in range(n_trials):
        if n_alive == 0:
            break
        pattern = order[trial]
        begin, end = offsets[pattern], offsets[pattern + 1]
        run_trial(
            state, weights, eligibilities, sums, starts, arrival_steps[begin:end], arrival_inputs[begin:end],
            constants, membrane_powers, synaptic_powers, slow_factors, fast_factors, discounts,
            noise_seeds[trial], n_drawn, published_ratio,
        )  # fmt: skip
        for lane in range(n_rules):
            if outcome[lane] != ALIVE:
                continue
            decision = 1.0 if n_drawn[lane] > 0 else -1.0
            reward = 1.0 if decision == labels[pattern] else -1.0
            rewards[trial, lane] = reward
            spike_counts[lane] += n_drawn[lane]
            if recorded_weights.shape[0] > 0 and lane == 0:
                for j in range(n_inputs):
                    recorded_weights[trial, j] = weights[j * LANES]
                    recorded_eligibilities[trial, j] = eligibilities[j * LANES]
            finite = apply_rule(
                lane, reward, means, weights, eligibilities, n_inputs, constants[LEARNING_RATE],
                instructions[lane], lengths[lane], results[lane], registers[lane],
            )  # fmt: skip
            if not finite:
                outcome[lane] = NON_FINITE
                n_alive -= 1
                for j in range(n_inputs):
                    weights[j * LANES + lane] = 0.0
                continue
            means[lane] += (reward - means[lane]) / constants[AVERAGING]
            means[LANES + lane] += (max(reward, 0.0) - means[LANES + lane]) / constants[AVERAGING]
            means[2 * LANES + lane] += (min(reward, 0.0) - means[2 * LANES + lane]) / constants[AVERAGING]
