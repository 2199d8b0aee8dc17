"""The compiled family against the slow, plain account of the same model, to the last bit of every weight."""

import importlib.util
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numba import njit

from ruleforge.family import InstanceKey
from ruleforge.kernel.functions import exponential
from ruleforge.kernel.interpreter import power as compiled_power
from ruleforge.language.rule import Rule
from tasks.correlation import Correlation
from tasks.correlation.learner import Learner

_specification = importlib.util.spec_from_file_location("plain_correlation", Path(__file__).with_name("plain.py"))
plain = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(plain)


@njit
def same_exponential(x):
    """The family's own exponential: libm's may differ in the last bit, and so would the traces."""
    return exponential(x)


SMALL = {"n_inputs": 300, "input_rate": 10.0, "duration": 3000.0, "readout": 2500.0}


@njit
def power(base, exponent):
    """Likewise: numpy's own power differs from the C library's in the last bit."""
    return compiled_power(base, exponent)


class Signals(NamedTuple):
    w: float
    x: float
    x_slow: float
    y: float
    y_slow: float


# text → (facilitate, depress): functions that do what the text says, on numpy scalars, so that poles are IEEE.
RULES = {
    "depress: 1.05*x; facilitate: x": (lambda s: s.x, lambda s: 1.05 * s.x),
    "depress: -w + 0.1; facilitate: x**2 - w": (lambda s: power(s.x, 2.0) - s.w, lambda s: -s.w + 0.1),
    "depress: -w + x/w; facilitate: (w*x)**w - 1": (lambda s: power(s.w * s.x, s.w) - 1, lambda s: -s.w + s.x / s.w),
    "depress: -40*w + 20*x; facilitate: -w/(w - 1)": (lambda s: -s.w / (s.w - 1), lambda s: -40 * s.w + 20 * s.x),
    "depress: w/x; facilitate: (x - w)/(x - x)": (lambda s: (s.x - s.w) / (s.x - s.x), lambda s: s.w / s.x),
    "depress: 0; facilitate: x - 0.15": (lambda s: s.x - 0.15, lambda s: 0.0 * s.w),
    "depress: 0.71*x; facilitate: 0.65*x*y_slow": (lambda s: 0.65 * s.x * s.y_slow, lambda s: 0.71 * s.x),
    "depress: x*y_slow + y - x_slow; facilitate: x_slow*y - w": (
        lambda s: s.x_slow * s.y - s.w,
        lambda s: s.x * s.y_slow + s.y - s.x_slow,
    ),
}


def on_scalars(function):
    """With Python's own floats a division by zero would raise."""
    return lambda *signals: float(function(Signals(*map(np.float64, signals))))


def learned(family, instance, text):
    run = Learner([Rule.parse(text, Correlation)], instance, family.settings).learn(0)
    return run.weights, run.outputs.tolist()


def plainly_learned(family, instance, text):
    facilitate, depress = RULES[text]
    own = family.parameters
    weights = list(instance.initial_weights)
    lower = -np.inf if own.facilitate_lower_bound is None else own.facilitate_lower_bound
    constants = (
        own.steps(own.duration),
        own.resolution,
        own.membrane_time_constant,
        own.threshold,
        own.steps(own.refractory_period),
        own.steps(own.dendritic_delay),
        own.trace_time_constant,
        own.slow_trace_time_constant,
        own.learning_rate,
        lower,
        family.settings.epoch,
    )
    passes = list(zip(instance.passes.tolist(), instance.inputs.tolist(), strict=True))
    with np.errstate(all="ignore"):
        outputs = plain.learn(
            passes,
            instance.n_inputs,
            weights,
            instance.initial_potential,
            constants,
            on_scalars(facilitate),
            on_scalars(depress),
            same_exponential,
        )
    return np.array(weights), outputs


@pytest.mark.parametrize("text", RULES)
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"initial_weight": 0.9, "facilitate_lower_bound": 0.0},
        {"initial_weight": 0.6, "refractory_period": 0.0, "dendritic_delay": 3.0, "threshold": 12.0},
        {"initial_weight": 0.8, "resolution": 1.0, "axonal_delay": 2.0, "refractory_period": 3.0},
        {"initial_weight": 0.7, "trace_time_constant": 1.5, "slow_trace_time_constant": 0.7},
        {"initial_weight": 0.7, "trace_time_constant": 0.002, "slow_trace_time_constant": 1000.0},
        {"initial_weight": 0.9, "n_inputs": 20, "threshold": 1.5, "slow_trace_time_constant": 3.0},
        {"initial_weight": 0.7, "trace_time_constant": 1e8, "slow_trace_time_constant": 1e9},
    ],
    ids=[
        "published",
        "bounded",
        "no refractory period",
        "coarse grid",
        "the reference of traces moves often",
        "the reference of traces moves in every step",
        "the reference of traces moves past several epochs",
        "the reference of traces never moves",
    ],
)
def test_weights_and_spikes_agree_to_the_last_bit(text, changed):
    family = Correlation({**SMALL, **changed})
    instance = family.build(InstanceKey("sampled", "training", 5, 0))
    weights, outputs = learned(family, instance, text)
    expected, spikes = plainly_learned(family, instance, text)
    assert outputs == spikes
    np.testing.assert_array_equal(weights, expected)


def test_spikes_that_coincide_are_passed_in_order():
    """Spikes of one input in one step, an output spike in the step of an input spike, V(0) above threshold."""
    family = Correlation(
        {"duration": 100.0, "readout": 100.0, "pattern_start": 0.0, "pattern_duration": 50.0, "n_inputs": 3000}
    )
    times = [[1.0, 1.0, 10.0, 10.0, 10.04], [0.1, 2.0, 3.0], [], [1.0, 1.1, 1.2, 98.95]]
    for potential in (0.0, 25.0, -10.0, 19.999):
        instance = family.instance_from_arrays(times, [0.0], [0.9, 0.5, 0.3, 1.0], initial_potential=potential)
        for text in RULES:
            weights, outputs = learned(family, instance, text)
            expected, spikes = plainly_learned(family, instance, text)
            assert outputs == spikes
            np.testing.assert_array_equal(weights, expected)
        assert bool(outputs) == (potential >= 19.999)


def test_readout_agrees_with_its_definition():
    family = Correlation(SMALL)
    own = family.parameters
    instance = family.build(InstanceKey("sampled", "validation", 1, 2))
    rule = Rule.parse("depress: -w + 0.1; facilitate: x**2 - w", Correlation)
    scores = family.evaluate([rule], instance)
    weights = Learner([rule], instance, family.settings).learn(0).weights
    passes = list(zip(instance.passes.tolist(), instance.inputs.tolist(), strict=True))
    n_steps = own.steps(own.readout)
    decay = math.exp(-own.resolution / own.membrane_time_constant)
    V = np.array(plain.potentials(passes, weights, instance.readout_potential, n_steps, decay, 10))
    step = np.arange(1, n_steps + 1)
    windows = [(step >= 4000 + 5000 * k) & (step <= 5000 + 5000 * k) for k in range(5)]
    outside = V[~np.any(windows, axis=0)]
    expected = np.mean([(V[window].max() - outside.mean()) / outside.std() for window in windows])
    assert scores.fitness[0] == pytest.approx(expected, rel=1e-11)
    assert scores.metrics["readout_mean"][0] == pytest.approx(outside.mean(), rel=1e-11)

    with_first = Correlation({**SMALL, "first_window_in_baseline": True})
    half_open = [(step >= 4000 + 5000 * k) & (step < 5000 + 5000 * k) for k in range(1, 5)]
    outside = V[:-1][~np.any(half_open, axis=0)[:-1]]
    expected = np.mean([(V[window].max() - outside.mean()) / outside.std() for window in windows[1:]])
    assert with_first.evaluate([rule], instance).fitness[0] == pytest.approx(expected, rel=1e-11)
