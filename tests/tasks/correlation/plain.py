"""A slow, plain second account of the correlation family: event by event, every synapse brought up to date lazily.

Written apart from the family's kernel, and kept simple enough to be compared with the published description line by
line. Times are steps of the grid. The one thing that it takes over from the kernel is how the trace of an input is
rounded: a sum of exp((t − reference)/τ), the reference moving on at every multiple of `epoch`.
"""

import math


def learn(passes, n_inputs, weights, potential, constants, facilitate, depress, exp=math.exp):
    """Weights after the simulation (changed in place) and the steps of the output spikes.

    passes: (step at the synapse, input) in order; weights: (n_inputs,); potential: V(0); constants: (steps, h, τ_m,
    threshold, refractory steps, delay in steps, τ of the traces, τ of the slow traces, λ, lower bound, epoch in
    steps);
    facilitate, depress: functions of w, x, x_slow, y, y_slow; exp: the exponential that the traces decay by.
    """
    n_steps, h, tau_m, threshold, refractory, delay, tau, tau_slow, rate, lower, epoch = constants
    decay = exp(-h / tau_m)
    arriving = [0.0] * (n_steps + delay + 2)
    outputs, after, after_slow = [0], [0.0], [0.0]  # an output spike in step 0 that leaves no trace
    trace, trace_slow = [0.0] * n_inputs, [0.0] * n_inputs
    reference, done = [0] * n_inputs, [1] * n_inputs

    def since_reference(i, step):
        while reference[i] + epoch <= step:
            trace[i] *= exp(-(epoch * h) / tau)
            trace_slow[i] *= exp(-(epoch * h) / tau_slow)
            reference[i] += epoch
        return (step - reference[i]) * h

    blocked = 0
    event = 0
    V = potential
    for step in range(1, n_steps + 1):
        if blocked:
            blocked -= 1
        else:
            V = V * decay + arriving[step]
        if threshold <= V:
            V = 0.0
            blocked = refractory
            gap = (step - outputs[-1]) * h
            after.append(after[-1] * exp(-gap / tau) + 1.0)
            after_slow.append(after_slow[-1] * exp(-gap / tau_slow) + 1.0)
            outputs.append(step)
        while event < len(passes) and passes[event][0] == step:
            i = passes[event][1]
            event += 1
            w = weights[i]
            while done[i] < len(outputs) and outputs[done[i]] + delay <= step:
                k = done[i]
                since = since_reference(i, outputs[k] + delay)
                gap = (outputs[k] - outputs[k - 1]) * h
                x, x_slow = trace[i] * exp(-since / tau), trace_slow[i] * exp(-since / tau_slow)
                y, y_slow = after[k - 1] * exp(-gap / tau), after_slow[k - 1] * exp(-gap / tau_slow)
                w = w + rate * facilitate(w, x, x_slow, y, y_slow)
                w = min(w, 1.0)
                w = max(w, lower)
                done[i] += 1
            k = len(outputs) - 1
            while k > 0 and outputs[k] >= step - delay:
                k -= 1
            since = (step - delay - outputs[k]) * h
            gap = since_reference(i, step)
            x, x_slow = after[k] * exp(-since / tau), after_slow[k] * exp(-since / tau_slow)
            y, y_slow = trace[i] * exp(-gap / tau), trace_slow[i] * exp(-gap / tau_slow)
            w = w - rate * depress(w, x, x_slow, y, y_slow)
            w = w if w > 0.0 else 0.0
            trace[i] += exp(gap / tau)
            trace_slow[i] += exp(gap / tau_slow)
            weights[i] = w
            arriving[step + delay] += w
    return outputs[1:]


def potentials(passes, weights, potential, n_steps, decay, delay):
    """V at every step 1 … n_steps with frozen weights and no threshold."""
    arriving = [0.0] * (n_steps + 1)
    for step, i in passes:
        if step + delay <= n_steps:
            arriving[step + delay] += weights[i]
    V = potential
    result = [0.0] * n_steps
    for step in range(1, n_steps + 1):
        V = V * decay + arriving[step]
        result[step - 1] = V
    return result
