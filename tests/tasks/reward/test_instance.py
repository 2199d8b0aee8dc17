"""Instances of the reward family: streams that never meet, the grid, and data that users bring."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ruleforge.errors import InputError
from ruleforge.family import SPLITS, InstanceKey
from ruleforge.language.rule import Rule
from tasks.reward import Reward


@pytest.fixture(scope="module")
def reward() -> Reward:
    return Reward({"n_trials": 20})


def fields(instance) -> dict[str, np.ndarray]:
    return {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}


def test_an_instance_depends_on_its_key_alone(reward):
    first, *_, last = reward.keys("training", 4, 7)
    once = fields(reward.build(last))
    reward.build(first)
    again = fields(Reward({"n_trials": 20}).build(last))
    for name, values in once.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)


def test_splits_seeds_and_indices_never_meet(reward):
    keys = [key for split in SPLITS for seed in (0, 1, 2**62) for key in reward.keys(split, 5, seed)]
    assert len({str(key) for key in keys}) == len(keys) == 60
    instances = [reward.build(key) for key in keys]
    for name in ("initial_weights", "noise_seeds", "arrival_steps"):
        assert len({getattr(instance, name).tobytes() for instance in instances}) == len(keys), name
    # Not even single noise streams are shared.
    noise = np.concatenate([instance.noise_seeds for instance in instances])
    assert len(np.unique(noise)) == len(noise)


def test_more_instances_begin_with_the_same_ones(reward):
    assert reward.keys("validation", 3, 9) == reward.keys("validation", 8, 9)[:3]


def test_a_source_that_the_family_does_not_have(reward):
    with pytest.raises(InputError, match="instances from 'elsewhere'"):
        reward.keys("training", 1, 0, "elsewhere")
    with pytest.raises(InputError, match="instances from 'elsewhere'"):
        reward.build(InstanceKey("elsewhere", "training", 0, 0))


def test_what_is_sampled_follows_the_parameters():
    reward = Reward({"n_trials": 2000, "n_inputs": 1000})
    instance = reward.build(InstanceKey("sampled", "training", 1, 0))
    n_connected = len(instance.initial_weights)
    assert abs(n_connected - 800) < 5 * np.sqrt(1000 * 0.8 * 0.2)
    assert abs(instance.initial_weights.mean()) < 5 * 1000 / np.sqrt(n_connected)
    assert abs(instance.initial_weights.std() - 1000) < 5 * 1000 / np.sqrt(2 * n_connected)
    expected = 30 * n_connected * 3 * (498 / 500)  # 6 Hz for 500 ms; what comes in the last 2 ms never arrives
    assert abs(len(instance.arrival_steps) - expected) < 5 * np.sqrt(expected)
    assert set(instance.labels) == {-1.0, 1.0}
    assert set(instance.order) == set(range(30))
    assert instance.arrival_steps.min() >= 20  # the delay of 2 ms
    assert instance.arrival_steps.max() < 5000


def test_arrivals_of_a_pattern_are_ordered_and_belong_to_connected_inputs(reward):
    instance = reward.build(InstanceKey("sampled", "training", 1, 0))
    assert instance.offsets[0] == 0
    assert instance.offsets[-1] == len(instance.arrival_steps) == len(instance.arrival_inputs)
    for begin, end in zip(instance.offsets[:-1], instance.offsets[1:], strict=True):
        assert (np.diff(instance.arrival_steps[begin:end]) >= 0).all()
    assert set(instance.arrival_inputs) <= set(range(len(instance.initial_weights)))


def test_an_experiment_has_at_least_one_connected_input():
    reward = Reward({"n_inputs": 2, "connection_probability": 1e-12, "n_trials": 3})
    instance = reward.build(InstanceKey("sampled", "training", 0, 0))
    assert len(instance.initial_weights) == 1
    assert np.isfinite(reward.evaluate([Rule.parse("R*E", "reward")], instance).fitness).all()


def test_silence_is_a_problem_too():
    reward = Reward({"input_rate": 0.0, "n_trials": 3})
    instance = reward.build(InstanceKey("sampled", "training", 0, 0))
    assert len(instance.arrival_steps) == 0
    np.testing.assert_array_equal(reward.trace(Rule.parse("R*E", "reward"), instance)["eligibility"].values, 0.0)


def test_resolutions_share_the_spike_times():
    key = InstanceKey("sampled", "training", 4, 2)
    coarse, fine = (Reward({"resolution": h, "n_trials": 20}).build(key) for h in (0.1, 0.05))
    for name in ("labels", "order", "initial_weights", "noise_seeds"):
        np.testing.assert_array_equal(getattr(coarse, name), getattr(fine, name), err_msg=name)
    delays = np.array([20, 40])
    for m in range(30):
        arrivals = []
        for instance, delay in zip((coarse, fine), delays, strict=True):
            window = slice(instance.offsets[m], instance.offsets[m + 1])
            steps = instance.arrival_steps[window] - delay
            arrivals.append(sorted(zip(instance.arrival_inputs[window].tolist(), steps.tolist(), strict=True)))
        # Each fine step, floored to the coarse grid, is the coarse step of the same spike; a spike of the last step
        # before the delay runs out may arrive on the fine grid only.
        floored = [(source, step // 2) for source, step in arrivals[1]]
        assert [item for item in floored if item[1] + delays[0] < 5000] == arrivals[0]


# Data that users bring


def plain(parameters) -> dict:
    """A sampled instance as a user would write it down: spike times in ms per pattern and input."""
    instance = Reward(parameters).build(InstanceKey("sampled", "training", 11, 0))
    patterns = []
    for begin, end in zip(instance.offsets[:-1], instance.offsets[1:], strict=True):
        steps, sources = instance.arrival_steps[begin:end], instance.arrival_inputs[begin:end]
        patterns.append([(steps[sources == j] - 20) / 10 for j in range(len(instance.initial_weights))])
    data = {"patterns": patterns, "labels": instance.labels, "order": instance.order}
    return data | {"initial_weights": instance.initial_weights}


def test_a_users_arrays_replay_a_sampled_instance_bit_for_bit(reward):
    sampled = reward.build(InstanceKey("sampled", "training", 11, 0))
    own = reward.instance_from_arrays(**plain({"n_trials": 20}))
    for name, values in fields(sampled).items():
        if name != "noise_seeds":
            np.testing.assert_array_equal(getattr(own, name), values, err_msg=name)
            assert getattr(own, name).dtype == values.dtype, name
    rules = [Rule.parse(text, "reward") for text in ("(R - 1)*E", "0*E")]
    replayed = reward.evaluate(rules, dataclasses.replace(own, noise_seeds=sampled.noise_seeds))
    assert replayed.fitness.tobytes() == reward.evaluate(rules, sampled).fitness.tobytes()


def test_the_noise_of_own_data_comes_from_its_seed(reward):
    data = plain({"n_trials": 20})
    seeds = [reward.instance_from_arrays(**data, noise_seed=seed).noise_seeds.tobytes() for seed in (0, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]


def test_lists_will_do_and_several_spikes_may_coincide(reward):
    instance = reward.instance_from_arrays(
        patterns=[[[1, 1, 2.05], []], [[], (0.3, 499.99)]], labels=[1, -1], order=[0, 1, 1], initial_weights=[10, -20]
    )
    assert instance.arrival_steps.tolist() == [30, 30, 40, 23]  # 499.99 ms would arrive after the trial
    assert instance.arrival_inputs.tolist() == [0, 0, 0, 1]
    assert np.isfinite(reward.evaluate([Rule.parse("R*E", "reward")], instance).fitness).all()


BAD = {
    "labels: expected one per pattern \\(2\\), and 3 came": {"labels": [1, -1, 1]},
    "labels: expected only −1 and 1": {"labels": [1, 0]},
    "labels: expected finite numbers": {"labels": [1, np.nan]},
    "labels: expected one dimension, and an array of shape \\(2, 1\\) came": {"labels": [[1], [-1]]},
    "labels: expected numbers, and \\['a', 'b'\\] came": {"labels": ["a", "b"]},
    "labels: expected one per pattern \\(0\\)": {"patterns": [], "labels": []},
    "order: expected indices of patterns, 0 … 1": {"order": [0, 2]},
    "order: expected indices of patterns, 0 … 1,": {"order": [-1]},
    "order: expected indices of patterns, 0 … 1, and": {"order": [0.5]},
    "order: expected indices of patterns, 0 … 1, and others \\(or none\\)": {"order": []},
    "order: expected finite numbers": {"order": [np.inf]},
    "order: expected one dimension": {"order": [[0]]},
    "initial_weights: expected finite numbers": {"initial_weights": [1.0, np.inf]},
    "initial_weights: expected one dimension": {"initial_weights": 3.0},
    "initial_weights: expected one dimension, and an array of shape \\(\\) came": {"initial_weights": None},
    "initial_weights: expected at least one": {"patterns": [[], []], "initial_weights": []},
    "patterns: expected a list, and 5 came": {"patterns": 5},
    "patterns\\[1\\]: expected spike times of 2 inputs, one per weight, and 1 came": {"patterns": [[[1], [2]], [[1]]]},
    "patterns\\[1\\]: expected a list, and 7 came": {"patterns": [[[1], [2]], 7]},
    "patterns\\[0\\]\\[1\\]: expected ascending times": {"patterns": [[[], [2, 1]], [[], []]]},
    "patterns\\[0\\]\\[0\\]: expected times from 0 to below 500 ms, and -1 … 2 came": {
        "patterns": [[[-1, 2], []], [[], []]]
    },
    "patterns\\[1\\]\\[0\\]: expected times from 0 to below 500 ms, and 500 … 500 came": {
        "patterns": [[[], []], [[500], []]]
    },
    "patterns\\[1\\]\\[1\\]: expected finite numbers": {"patterns": [[[], []], [[], [np.nan]]]},
    "patterns\\[1\\]\\[1\\]: expected one dimension": {"patterns": [[[], []], [[], [[1.0]]]]},
    "patterns\\[1\\]\\[1\\]: expected numbers": {"patterns": [[[], []], [[], ["soon"]]]},
    "noise_seed: expected": {"noise_seed": -1},
    "noise_seed: expected a": {"noise_seed": "x"},
    "noise_seed: expected an": {"noise_seed": 1.5},
}


@pytest.mark.parametrize("sentence", BAD)
def test_bad_data_is_refused_with_the_name_of_the_field(reward, sentence):
    good = {"patterns": [[[1], [2]], [[], [3]]], "labels": [1, -1], "order": [0, 1], "initial_weights": [1.0, 2.0]}
    reward.instance_from_arrays(**good)
    with pytest.raises(InputError, match=sentence):
        reward.instance_from_arrays(**good | BAD[sentence])
