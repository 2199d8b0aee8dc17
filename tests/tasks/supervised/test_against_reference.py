"""The compiled kernel against the plain loop."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from ruleforge.language.rule import Rule
from tasks.supervised import Supervised

_specification = importlib.util.spec_from_file_location(
    "supervised_reference", Path(__file__).with_name("reference.py")
)
reference = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(reference)

SHORT = {"duration": 400.0, "comparison_start": 100.0}
VARIANTS = [
    {},
    {"resolution": 0.05},
    {"resolution": 1.0, "comparison_start": 0.0},
    {"target_phase": 1.0, "weight_reading_interval": 1.0},
    {"n_inputs": 3, "synaptic_delay": 1.3, "weight_reading_delay": 0.9, "duration": 399.7},
    {"synaptic_delay": 4.0, "comparison_interval": 0.7, "target_interval": 3.0},
]
RULES = ["2*s*(v - u)", "s*(v - u)*(2*u - 1)/v", "v - u", "s", "0.01", "abs(v - u)**0.5*s*sign(v - u)"]


def spikes(generator, parameters):
    return [np.sort(generator.uniform(0, parameters.duration, 200)) for _ in range(parameters.n_inputs)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_kernel_equals_the_plain_loop(variant):
    family = Supervised({**SHORT, **variant})
    generator = np.random.Generator(np.random.PCG64(5))
    times = spikes(generator, family.parameters)
    teacher = generator.uniform(-30, 30, family.parameters.n_inputs)
    initial = generator.uniform(-5, 5, family.parameters.n_inputs)
    instance = family.instance_from_arrays(times, teacher, initial)
    rules = [Rule.parse(text, Supervised) for text in RULES]
    scores = family.evaluate(rules, instance)
    for index, rule in enumerate(rules):
        fitness, weights = reference.simulate(rule.to_numpy(), family.parameters, times, teacher, initial)
        assert scores.fitness[index] == pytest.approx(fitness, rel=1e-9)
        error = np.sqrt(np.mean((weights - teacher) ** 2))
        assert scores.metrics["weight_error"][index] == pytest.approx(error, rel=1e-9)


def test_several_spikes_in_one_step_add_up_and_times_are_floored():
    family = Supervised(SHORT)
    generator = np.random.Generator(np.random.PCG64(6))
    times = spikes(generator, family.parameters)
    times[0] = np.sort(np.concatenate([times[0], np.floor(times[0] * 10) / 10 + 0.05]))  # the same steps once more
    instance = family.instance_from_arrays(times, [10.0] * 5)
    rule = Rule.parse("2*s*(v - u)", Supervised)
    fitness, _ = reference.simulate(rule.to_numpy(), family.parameters, times, [10.0] * 5, [5.0] * 5)
    assert family.evaluate([rule], instance).fitness[0] == pytest.approx(fitness, rel=1e-9)
    floored = family.instance_from_arrays([np.floor(t * 10) / 10 for t in times], [10.0] * 5)
    assert np.array_equal(floored.spike_steps, instance.spike_steps)
