"""The supervised problem once more: one step after the other, one experiment, straight from its equations.

Written to be read against the publication; nothing is shared with the compiled kernel.
"""

import math

import numpy as np


def simulate(rule, parameters, spike_times, teacher_weights, initial_weights):
    """Fitness and final weights. rule: a function of v, u, s by keyword; spike_times: one list per input, ms."""
    p = parameters
    h = p.resolution
    decay_m, decay_s = math.exp(-h / p.membrane_time_constant), math.exp(-h / p.synaptic_time_constant)
    tau_m, tau_s = p.membrane_time_constant, p.synaptic_time_constant
    coupling = tau_s * tau_m / (tau_m - tau_s) / p.capacitance * (decay_m - decay_s)
    decay_rule = math.exp(-h / p.plasticity_time_constant)

    def steps(time):
        return round(time / h)

    n_inputs, rest = p.n_inputs, p.resting_potential
    events = [(math.floor(t / h + 1e-6), j) for j, times in enumerate(spike_times) for t in times]
    read, arrive = {}, {}
    for number, (step, j) in enumerate(events):
        at = step + steps(p.weight_reading_delay)
        if p.weight_reading_interval > 0:
            at -= at % steps(p.weight_reading_interval)
        read.setdefault(at, []).append((number, j))
        arrive.setdefault(step + steps(p.synaptic_delay), []).append((number, j))

    weights = np.array(initial_weights, dtype=float)
    carried = {}
    potential = teacher = current = teacher_current = 0.0
    response, response_current, filtered = np.zeros(n_inputs), np.zeros(n_inputs), np.zeros(n_inputs)
    held, squares = rest, 0.0
    for n in range(1, steps(p.duration) + 1):
        potential = potential * decay_m + current * coupling
        teacher = teacher * decay_m + teacher_current * coupling
        response = response * decay_m + response_current * coupling
        current, teacher_current, response_current = (
            current * decay_s,
            teacher_current * decay_s,
            response_current * decay_s,
        )
        value = rule(v=held, u=rest + potential, s=response)
        filtered = filtered * decay_rule + (1 - decay_rule) * value
        weights = weights + p.learning_rate * h * filtered
        if n >= steps(p.target_phase) and (n - steps(p.target_phase)) % steps(p.target_interval) == 0:
            held = rest + teacher
        for number, j in read.get(n, []):
            carried[number] = weights[j]
        for number, j in arrive.get(n, []):
            current += carried[number]
            teacher_current += teacher_weights[j]
            response_current[j] += 1.0
        if n >= steps(p.comparison_start) and (n - steps(p.comparison_start)) % steps(p.comparison_interval) == 0:
            squares += (potential - teacher) ** 2
    return -math.sqrt(squares), weights
