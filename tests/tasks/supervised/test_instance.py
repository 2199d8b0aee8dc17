"""Experiments: drawn ones are disjoint and in range, given ones are checked."""

import numpy as np
import pytest

from ruleforge.errors import InputError, SpecificationError
from ruleforge.family import InstanceKey
from tasks.supervised import Supervised

SHORT = {"duration": 100.0, "comparison_start": 50.0}
GOOD = {"spike_times": [[1.0, 2.5], [], [99.0], [3.0, 3.0], [0.0, 100.0]], "teacher_weights": [1.0, 2.0, 3.0, 4.0, 5.0]}


def with_times(times):
    return {**GOOD, "spike_times": [times, *GOOD["spike_times"][1:]]}


BAD = [
    ({**GOOD, "spike_times": GOOD["spike_times"][:4]}, "/spike_times", "expected 5 arrays, one per input, and 4 came"),
    ({**GOOD, "spike_times": 3.0}, "/spike_times", "expected 5 arrays, one per input"),
    ({**GOOD, "spike_times": np.zeros(5)}, "/spike_times", "expected 5 arrays, one per input"),
    (with_times([[1.0], [2.0]]), "/spike_times/0", r"a 1-D array of times in ms, and an array of shape \(2, 1\) came"),
    (with_times([2.0, 1.0]), "/spike_times/0", "expected ascending times, and 1 came after 2 at index 1"),
    (with_times([-0.5, 1.0]), "/spike_times/0", "expected times from 0 to 100 ms, and -0.5 came at index 0"),
    (with_times([1.0, 100.5]), "/spike_times/0", "expected times from 0 to 100 ms, and 100.5 came at index 1"),
    (with_times([1.0, np.nan]), "/spike_times/0", "expected finite numbers, and nan came at index 1"),
    (with_times(["soon"]), "/spike_times/0", "what came is not an array of numbers"),
    (
        {**GOOD, "teacher_weights": [1.0, 2.0]},
        "/teacher_weights",
        "expected 5 weights in pA, one per input, and 2 came",
    ),
    ({**GOOD, "teacher_weights": [1, 2, 3, 4, np.inf]}, "/teacher_weights", "finite numbers, and inf came at index 4"),
    ({**GOOD, "initial_weights": [[5.0] * 5]}, "/initial_weights", r"an array of shape \(1, 5\) came"),
    ({**GOOD, "initial_weights": [5.0, 5.0, np.nan, 5.0, 5.0]}, "/initial_weights", "nan came at index 2"),
]


@pytest.mark.parametrize(("arguments", "pointer", "message"), BAD)
def test_bad_arrays_are_refused_by_name(arguments, pointer, message):
    with pytest.raises(InputError, match=message) as caught:
        Supervised(SHORT).instance_from_arrays(**arguments)
    assert caught.value.pointer == pointer
    assert str(caught.value).startswith(pointer[1:])


def test_good_arrays_are_kept():
    instance = Supervised(SHORT).instance_from_arrays(**GOOD)
    assert instance.spike_steps.tolist() == [0, 10, 25, 30, 30, 990, 1000]
    assert instance.spike_inputs.tolist() == [4, 0, 0, 3, 3, 2, 4]
    assert instance.initial_weights.tolist() == [5.0] * 5
    assert instance.held_targets[:2].tolist() == [-70.0, -70.0]  # before the first sample, and the sample at 0 ms


def test_teacher_responds_two_milliseconds_after_a_spike():
    family = Supervised({**SHORT, "comparison_start": 0.0, "comparison_interval": 0.1})
    instance = family.instance_from_arrays([[10.0], [], [], [], []], [1.0, 0.0, 0.0, 0.0, 0.0])
    response = instance.compared_targets + 70.0
    assert np.all(response[:121] == 0.0)  # the spike arrives at 12 ms, and the potential moves in the step after
    assert response[121] > 0
    assert response.max() == pytest.approx(5.35e-3, abs=0.01e-3)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target_interval": 0.25}, r"target_interval is expected to be a multiple of resolution \(0.1 ms\)"),
        ({"rate_minimum": 900.0}, "rate_minimum .* is expected not to exceed rate_maximum"),
        ({"comparison_start": 20_000.0}, "comparison_start .* is expected not to exceed duration"),
        ({"target_phase": 5.0}, "target_phase .* is expected to be less than target_interval"),
        (
            {"synaptic_delay": 1.0},
            "weight_reading_delay .* is expected to be less than synaptic_delay .* by at least one s",
        ),
        ({"synaptic_delay": 10_000.0}, "synaptic_delay .* is expected to be less than duration"),
        ({"weight_reading_interval": 2.0}, "weight_reading_interval .* is expected not to exceed weight_reading_delay"),
        ({"resolution": 1e-4}, "at most 20,000,000 steps"),
        ({"resolution": 1e-6}, "resolution: .* greater than or equal to 0.0001"),
        ({"duratoin": 1.0}, "Did you mean 'duration'"),
    ],
)
def test_impossible_parameters_are_refused(parameters, message):
    with pytest.raises(SpecificationError, match=message):
        Supervised(parameters)


def test_sampled_instances_are_reproducible_disjoint_and_within_their_ranges():
    family = Supervised({"duration": 2000.0})
    seen = set()
    signs = set()
    for split in ("training", "validation", "test"):
        for seed in (0, 1):
            for key in family.keys(split, 4, seed):
                instance, again = family.build(key), family.build(key)
                assert np.array_equal(instance.spike_steps, again.spike_steps)
                assert np.array_equal(instance.teacher_weights, again.teacher_weights)
                seen.add(instance.teacher_weights.tobytes())
                signs.add((split, bool(instance.teacher_weights.mean() > 0)))
                counts = np.bincount(instance.spike_inputs, minlength=5) / 2.0
                assert np.all((counts > 100) & (counts < 950))
                assert np.all(np.abs(instance.teacher_weights) <= 35.0)
    assert len(seen) == 24
    assert len({sign for _, sign in signs}) == 2


def test_instance_of_other_parameters_is_refused():
    instance = Supervised(SHORT).instance_from_arrays(**GOOD)
    with pytest.raises(InputError, match="build it with this family's parameters"):
        Supervised().evaluate([], instance)


def test_unknown_source_is_refused():
    with pytest.raises(InputError, match="no instances from 'elsewhere'"):
        Supervised().build(InstanceKey("elsewhere", "training", 0, 0))
    with pytest.raises(InputError, match="no training instances from 'elsewhere': expected 'sampled' or 'published'"):
        Supervised().keys("training", 1, 0, "elsewhere")
