"""The reward family written the slow way, straight from its equations: a trace per synapse, every step, one rule."""

from __future__ import annotations

import math

import numpy as np

from tasks.neuron import propagators
from tasks.reward.kernel import exponential_deviate


def simulate(parameters, instance, rule, n_trials):
    """Returns rewards (n_trials,), weights before each trial and eligibilities after it, (n_trials, n_inputs) each."""
    p = parameters
    step = propagators(p)
    h = p.resolution
    n_steps = round(p.trial_duration / h)
    n_refractory = round(p.refractory_period / h)
    threshold = p.threshold - p.resting_potential
    weights = instance.initial_weights.copy()
    apply = rule.to_numpy()
    means = {"R_mean": 0.0, "R_mean_positive": 0.0, "R_mean_negative": 0.0}
    rewards, all_weights, all_eligibilities = [], [], []
    for trial in range(n_trials):
        pattern = instance.order[trial]
        window = slice(instance.offsets[pattern], instance.offsets[pattern + 1])
        arrivals = {}
        for when, source in zip(instance.arrival_steps[window], instance.arrival_inputs[window], strict=True):
            arrivals.setdefault(int(when), []).append(int(source))
        potential = current = hazard = 0.0
        response, response_current, eligibility = (np.zeros_like(weights) for _ in range(3))
        refractory = n_spikes = 0
        limit = exponential_deviate(instance.noise_seeds[trial], 0)
        for n in range(1, n_steps + 1):
            if refractory > 0:
                potential, refractory = 0.0, refractory - 1
            else:
                potential = potential * step.membrane + current * step.coupling
            current *= step.current
            response = response * step.membrane + response_current * step.coupling
            response_current = response_current * step.current
            hazard += p.escape_rate * math.exp((potential - threshold) / p.escape_scale) * h * 1e-3
            spike = hazard >= limit
            rate = p.eligibility_rate * math.exp((potential - threshold) / p.eligibility_scale)
            decay = math.exp(-h / p.eligibility_time_constant)
            eligibility = eligibility * decay + p.eligibility_gain * response * (float(spike) - rate * h)
            if spike:
                n_spikes += 1
                hazard, potential, refractory = 0.0, 0.0, n_refractory
                limit = exponential_deviate(instance.noise_seeds[trial], n_spikes)
            for source in arrivals.get(n, []):
                response_current[source] += 1.0
                current += weights[source]
        reward = 1.0 if (1.0 if n_spikes else -1.0) == instance.labels[pattern] else -1.0
        all_weights.append(weights.copy())
        all_eligibilities.append(eligibility)
        rewards.append(reward)
        weights = weights + p.learning_rate * apply(R=np.full_like(eligibility, reward), E=eligibility, **means)
        parts = {"R_mean": reward, "R_mean_positive": max(reward, 0.0), "R_mean_negative": min(reward, 0.0)}
        means = {name: mean + (parts[name] - mean) / p.averaging for name, mean in means.items()}
    return np.array(rewards), np.array(all_weights), np.array(all_eligibilities)
