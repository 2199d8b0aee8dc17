"""What an experiment of the correlation family costs: measured rates times what its parameters ask for."""

from __future__ import annotations

import math

from ruleforge.cost import Cost
from tasks.correlation import kernel
from tasks.correlation.parameters import CorrelationParameters

# Seconds on one core at 2.5 GHz: an input spike, and each node of the rule there; a synapse at an output spike, and
# each node there; a synapse when the reference of the traces moves on; a step or a window of the readout.
SPIKE, NODE, SYNAPSE, SYNAPSE_NODE, MOVED, READ = 2e-7, 5e-9, 4e-9, 1e-9, 2e-9, 2e-8
# To draw a spike, of which a quarter more are drawn than expected; an input; a step of the tables.
DRAWN, INPUT, TABLE = 8e-7, 4e-5, 1e-8
# Bytes of a spike while it is drawn and while it is sorted; of an input; of an output spike, a window, a table's entry.
DRAWN_BYTES, SORTED_BYTES, INPUT_BYTES, OUTPUT_BYTES, WINDOW_BYTES, TABLE_BYTES = 64, 120, 600, 4, 120, 24
RECORDS = 200  # of the weights, in a recording


def cost(p: CorrelationParameters, complexity: int) -> Cost:
    """Of one rule on one experiment."""
    steps = p.steps(p.duration)
    drawn = p.n_inputs * max(1.0, 1.25 * p.input_rate * p.duration * 1e-3)
    pattern = p.n_inputs * max(1.0, 1.25 * p.input_rate * p.pattern_duration * 1e-3)
    windows = p.duration / p.pattern_interval + 1
    # Each window repeats the pattern, and the background keeps what lies elsewhere.
    spikes = drawn + pattern * windows
    output = min(steps / (p.steps(p.refractory_period) + 1), spikes) + 1
    epoch = kernel.epoch_steps(
        p.trace_time_constant, p.slow_trace_time_constant, resolution=p.resolution, n_steps=steps
    )
    longest = max(p.membrane_time_constant, p.trace_time_constant, p.slow_trace_time_constant)
    table = min(steps, 750 * longest / p.resolution) + min(steps, epoch)
    readout = p.steps(p.readout)
    return Cost(
        seconds=spikes * (SPIKE + complexity * NODE)
        + output * p.n_inputs * (SYNAPSE + complexity * SYNAPSE_NODE)
        + steps / epoch * p.n_inputs * MOVED
        + (readout + windows) * READ,
        build_seconds=(drawn + spikes) * DRAWN + p.n_inputs * INPUT + (table + windows) * TABLE,
        instance_bytes=(drawn + pattern) * DRAWN_BYTES
        + spikes * SORTED_BYTES
        + p.n_inputs * INPUT_BYTES
        + windows * WINDOW_BYTES
        + table * TABLE_BYTES
        + readout * 40
        + output * OUTPUT_BYTES,
        rule_bytes=p.n_inputs * 16.0 + (complexity + 10) * 8 * (kernel.CHUNK + kernel.BLOCK),
        trace_bytes=p.n_inputs * RECORDS * 16.0 + math.ceil(p.duration / 10) * 16 + windows * 400 + steps * 8,
        seconds_by=("duration", "n_inputs", "input_rate", "resolution", "refractory_period", "pattern_interval"),
        bytes_by=("n_inputs", "input_rate", "duration", "resolution", "pattern_interval"),
    )
