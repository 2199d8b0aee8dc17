"""What an experiment of the supervised family costs: measured rates times what its parameters ask for."""

from __future__ import annotations

import math

from ruleforge.cost import Cost
from ruleforge.kernel.lanes import LANES
from tasks.supervised.parameters import SupervisedParameters

# Seconds on one core at 2.5 GHz, sixteen experiments side by side: an input in one step, and each node of the rule
# there; the same once per block of steps, however short; a spike of each experiment; a comparison.
STEP, NODE, BLOCK, BLOCK_NODE, SPIKE, COMPARISON = 2e-8, 4e-9, 3e-7, 3e-8, 5e-8, 2e-8
# To draw a spike; a step of the teacher.
DRAWN, TEACHER = 3e-7, 2e-8
# Bytes of a step while an instance is built, of a spike, and of a sample of sixteen experiments.
STEP_BYTES, SPIKE_BYTES, SAMPLE_BYTES = 24, 90, 8 * (LANES + 2)


def cost(p: SupervisedParameters, complexity: int, longest_block: int) -> Cost:
    """Of one rule on sixteen experiments; longest_block: steps that are computed together."""
    steps = p.n_steps
    travel = p.steps(p.synaptic_delay) - p.steps(p.weight_reading_delay)
    block = math.ceil(travel / math.ceil(travel / longest_block))
    spikes = p.rate_maximum * p.duration * 1e-3 * p.n_inputs
    spikes += 5 * math.sqrt(spikes)
    samples = p.n_comparisons + steps / p.steps(p.target_interval)
    inputs = p.n_inputs + 1
    per_rule = (5 + 3 * inputs + travel) * LANES * 8
    workspace = (2 + inputs * (complexity + 3)) * block * LANES * 8
    return Cost(
        seconds=steps * inputs * (STEP + complexity * NODE)
        + steps / block * inputs * (BLOCK + complexity * BLOCK_NODE)
        + LANES * spikes * SPIKE
        + p.n_comparisons * COMPARISON,
        build_seconds=LANES * (spikes * DRAWN + steps * TEACHER),
        instance_bytes=(steps + travel) / block * 8
        + steps * STEP_BYTES
        + LANES * spikes * SPIKE_BYTES
        + samples * SAMPLE_BYTES
        + workspace
        + (block + 4 * inputs * block) * LANES * 8,
        rule_bytes=per_rule,
        trace_bytes=per_rule + p.n_comparisons * (p.n_inputs + 8) * 16 + steps * 16,
        seconds_by=("duration", "resolution", "n_inputs", "rate_maximum"),
        bytes_by=("rate_maximum", "n_inputs", "duration", "resolution", "comparison_interval", "synaptic_delay"),
    )
