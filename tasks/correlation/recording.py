"""What happened inside one simulation of the `correlation` family, for pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ruleforge.errors import InputError
from ruleforge.family import Quantity, Trace
from ruleforge.kernel.interpreter import run_program
from ruleforge.kernel.program import compile_programs
from ruleforge.language.rule import Rule
from tasks.correlation import kernel
from tasks.correlation.instance import Instance
from tasks.correlation.learner import DEPRESS, FACILITATE, Learner
from tasks.correlation.readout import membrane_potential

if TYPE_CHECKING:
    from tasks.correlation.family import Correlation

N_RECORDS = 200
STDP_WEIGHTS = (0.25, 0.5, 0.75)
SURROUND = 1.0  # shown before and after a pattern, in its own lengths


def _values(rule: Rule, slot: int, signals: dict[str, NDArray[np.float64]], n_values: int) -> NDArray[np.float64]:
    symbols = rule.slots[slot].symbols
    inputs = np.array([np.broadcast_to(signals.get(symbol, np.zeros(1)), (n_values,)) for symbol in symbols])
    return run_program(compile_programs([rule.expressions[slot]], symbols), 0, inputs)


def stdp_window(rule: Rule, family: Correlation, intervals: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Change of a weight by one pair of spikes that nothing precedes: (n,), for output minus input time, (n,) ms.

    Both updates of the pair count, in their order and with their bounds; the first of them sees a trace of 0.
    """
    own, n = family.parameters, intervals.size
    lower = -np.inf if own.facilitate_lower_bound is None else own.facilitate_lower_bound
    x = {
        "x": np.exp(-np.abs(intervals) / own.trace_time_constant),
        "x_slow": np.exp(-np.abs(intervals) / own.slow_trace_time_constant),
    }
    input_first = intervals > 0

    def depress(w: NDArray[np.float64], signals: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        changed = w - own.learning_rate * _values(rule, DEPRESS, {"w": w, **signals}, n)
        return np.where(changed > 0, changed, 0.0)

    def facilitate(w: NDArray[np.float64], signals: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        changed = w + own.learning_rate * _values(rule, FACILITATE, {"w": w, **signals}, n)
        changed = np.where(changed > 1, 1.0, changed)
        return np.where(changed < lower, lower, changed)

    before = np.full(n, weight)
    with np.errstate(all="ignore"):
        after = np.where(input_first, facilitate(depress(before, {}), x), depress(facilitate(before, {}), x))
        return np.asarray(after - before, dtype=np.float64)


def record(family: Correlation, rule: Rule, instance: Instance) -> Trace:
    """Simulate one rule and record what `TaskFamily.trace` promises: weights, potentials, raster, STDP window.

    Raises InputError if the rule leaves the finite numbers, because there is nothing to show then.
    """
    own, settings = family.parameters, family.settings
    record_at = np.linspace(0, settings.n_steps, N_RECORDS + 1)[1:].astype(np.int32)
    run = Learner([rule], instance, settings).learn(0, record_at=record_at)
    if run.status != kernel.FINISHED:
        raise InputError("the rule drives weights or potential out of the finite numbers: there is no trace to show")

    complete = instance.windows[instance.windows[:, 1] <= settings.n_steps]
    margin = round(SURROUND * own.steps(own.pattern_duration))
    surrounded = complete[complete[:, 1] + margin <= settings.n_steps]
    early, late = complete[min(1, len(complete) - 1)], (surrounded if len(surrounded) else complete)[-1]
    span = np.arange(-margin, own.steps(own.pattern_duration) + margin + 1)

    def around(window: NDArray[np.int32]) -> NDArray[np.float64]:
        first, last = max(1, window[0] - margin), min(settings.n_steps, window[1] + margin)
        potential = membrane_potential(
            instance.passes, run.carried, run.outputs, instance.initial_potential, settings, first, last
        )
        shown = np.full(span.size, np.nan)
        offset = first - (window[0] - margin)
        shown[offset : offset + potential.size] = potential
        return shown

    sent = instance.passes - own.steps(own.axonal_delay)
    in_window = (sent >= late[0]) & (sent <= late[1])
    rank = np.empty(instance.n_inputs)
    rank[np.argsort(run.weights, kind="stable")] = np.arange(instance.n_inputs)
    takes_part = np.zeros(instance.n_inputs)
    takes_part[instance.inputs[in_window]] = 1.0
    h = own.resolution
    intervals = np.concatenate([-np.linspace(100, 0.5, 200), np.linspace(0.5, 100, 200)]) * own.trace_time_constant / 20
    changes = np.array([stdp_window(rule, family, intervals, weight) for weight in STDP_WEIGHTS])
    counts, _ = np.histogram(run.outputs, bins=np.concatenate([[0], record_at]))
    return {
        "time": Quantity(np.asarray(record_at * h * 1e-3, dtype=np.float64), "s", "times of the recorded weights"),
        "weight": Quantity(run.record, "1", "weight of every input (column) at those times, as its last spike left it"),
        "output_rate": Quantity(
            counts / (settings.n_steps / N_RECORDS * h * 1e-3), "Hz", "output spikes in the time before each record"
        ),
        "takes_part": Quantity(takes_part, "1", "1 for inputs that fire in the last pattern that is shown"),
        "pattern_time": Quantity(np.asarray(span * h, dtype=np.float64), "ms", "time from the start of the pattern"),
        "potential_early": Quantity(
            around(early), "mV", "potential around an early pattern while learning, 0 at and after a spike"
        ),
        "potential_late": Quantity(around(late), "mV", "potential around the last pattern while learning"),
        "threshold": Quantity(np.array([own.threshold]), "mV", "threshold"),
        "pattern_duration": Quantity(np.array([own.pattern_duration]), "ms", "length of the pattern"),
        "raster_time": Quantity(
            (sent[in_window] - late[0]) * h, "ms", "input spikes of the last pattern, from its start"
        ),
        "raster_rank": Quantity(
            rank[instance.inputs[in_window]], "1", "rank of their inputs by final weight, 0 the smallest"
        ),
        "raster_weight": Quantity(run.weights[instance.inputs[in_window]], "1", "final weight of their inputs"),
        "stdp_interval": Quantity(
            intervals, "ms", "time of the output spike minus time of the input spike, at the synapse"
        ),
        "stdp_weight": Quantity(np.array(STDP_WEIGHTS), "1", "weights at which the STDP window is shown"),
        "stdp_change": Quantity(changes, "1", "Δw of one isolated pair, both updates included: a row per weight"),
    }
