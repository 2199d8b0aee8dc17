"""The compiled kernel against the equations written the slow way."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from ruleforge.family import InstanceKey
from ruleforge.language.rule import Rule
from tasks.reward import Reward

_specification = importlib.util.spec_from_file_location("reward_reference", Path(__file__).with_name("reference.py"))
reference = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(reference)

N_TRIALS = 10
# Strong noise and weak inputs: the neuron fires in some trials and not in others, so that both rewards occur.
LIVELY = {"escape_rate": 1.0, "averaging": 4.0}

CASES = [
    ("(R - 1)*E", {}),
    ("R*E", {}),
    ("0*E", {}),
    ("100*(R - 1 + E/R)", {}),
    ("10*(R - R_mean)*E + R_mean_positive - 3*R_mean_negative", LIVELY),
    ("R_mean_negative**2*E - exp(R_mean)", {"averaging": 4.0}),
    # Another ratio of the two scales than the published 25: the path that computes both exponentials.
    ("(R - 1)*E", {"escape_scale": 0.5, "eligibility_scale": 3.0}),
    ("(R - 1)*E", {"escape_scale": 1.0, "eligibility_scale": 1.0, "escape_rate": 10.0, "eligibility_rate": 0.01}),
    # The published ratio from other scales takes the fast path.
    ("(R - 1)*E", {"escape_scale": 0.4, "eligibility_scale": 10.0}),
    ("R*E", {"resolution": 0.05}),
    ("R*E", {"resolution": 0.5, "refractory_period": 0.0, "synaptic_delay": 1.0}),
    ("R*E", {"refractory_period": 30.0, "membrane_time_constant": 20.0, "eligibility_time_constant": 50.0}),
]


def test_equal_time_constants():
    """The response is a difference quotient with two nearly equal terms, which costs seven of the sixteen digits."""
    _compare("R*E", {"membrane_time_constant": 2.0}, tolerance=1e-7)


@pytest.mark.parametrize(("text", "parameters"), CASES)
def test_rewards_weights_and_eligibilities_follow_the_equations(text, parameters):
    _compare(text, parameters, tolerance=1e-9)


def _compare(text, parameters, tolerance):
    family = Reward({"n_trials": N_TRIALS, "n_patterns": 4, **parameters})
    instance = family.build(InstanceKey("sampled", "test", 3, 0))
    rule = Rule.parse(text, "reward")
    rewards, weights, eligibilities = reference.simulate(family.parameters, instance, rule, N_TRIALS)
    trace = family.trace(rule, instance)
    assert set(rewards) == {-1.0, 1.0}, "a case in which only one reward occurs shows too little"
    np.testing.assert_array_equal(trace["reward"].values, rewards)
    scale = np.abs(eligibilities).max()
    assert scale > 1e-3
    # Relative to each value, or, where terms cancel, to the largest.
    largest = np.abs(weights).max()
    np.testing.assert_allclose(trace["weight"].values, weights, rtol=tolerance, atol=1e-3 * tolerance * largest)
    np.testing.assert_allclose(trace["eligibility"].values, eligibilities, rtol=tolerance, atol=tolerance * scale)
    scores = family.evaluate([rule], instance)
    assert scores.fitness[0] == rewards.sum()
    assert scores.metrics["accuracy"][0] == np.mean(rewards == 1.0)
