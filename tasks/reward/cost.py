"""What an experiment of the reward family costs: measured rates times what its parameters ask for."""

from __future__ import annotations

from ruleforge.cost import Cost
from ruleforge.kernel.lanes import LANES
from tasks.reward.parameters import RewardParameters

# Seconds on one core at 2.5 GHz, sixteen rules side by side: a step; an arrival, forwards and back; an output spike, in
# every lane; a synapse at the end of a trial, and each node of the rule there.
STEP, ARRIVAL, SPIKE, SYNAPSE, NODE = 1e-7, 5e-8, 6e-7, 1e-7, 1e-8
# To draw a spike and to put it onto the grid; to cut out the spikes of one input in one pattern.
DRAWN, TRAIN = 5e-7, 2e-6
# Bytes: tables of the kernel at every step, with what is in between; a drawn spike; the spikes of one input in one
# pattern as an array of its own; a trial.
STEP_BYTES, SPIKE_BYTES, TRAIN_BYTES, TRIAL_BYTES = 96, 100, 200, 8 * LANES + 40


def cost(p: RewardParameters, complexity: int) -> Cost:
    """Of one experiment and up to sixteen rules."""
    steps = p.trial_duration / p.resolution
    arrivals = p.input_rate * p.trial_duration * 1e-3 * p.n_inputs
    output = steps / (p.steps(p.refractory_period) + 1)
    synapses = p.n_inputs * LANES * (SYNAPSE + complexity * NODE)
    trains, spikes = p.n_patterns * p.n_inputs, p.n_patterns * arrivals
    registers = p.n_inputs * 8 * (complexity + 10)
    return Cost(
        seconds=p.n_trials * (steps * STEP + arrivals * ARRIVAL + output * SPIKE + synapses),
        build_seconds=spikes * DRAWN + trains * TRAIN + steps * STEP,
        instance_bytes=steps * STEP_BYTES
        + spikes * SPIKE_BYTES
        + trains * TRAIN_BYTES
        + p.n_trials * TRIAL_BYTES
        + arrivals * 20 * LANES,
        rule_bytes=registers + 3 * 8 * p.n_inputs,
        trace_bytes=(registers + 48 * p.n_inputs) * 1.0 + p.n_trials * p.n_inputs * 40,
        seconds_by=("n_trials", "trial_duration", "resolution", "n_inputs", "input_rate", "n_patterns"),
        bytes_by=("n_patterns", "n_inputs", "input_rate", "trial_duration", "resolution", "n_trials"),
    )
