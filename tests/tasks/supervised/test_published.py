"""The published experiments and the published fitness of the champions (Jordan et al. 2021)."""

import numpy as np
import pytest

from ruleforge.errors import InputError
from ruleforge.family import InstanceKey
from ruleforge.language.rule import Rule
from tasks.published.supervised import published_instance
from tasks.supervised import Supervised

# rule, published, then an independent re-implementation at h = 0.01: plain, with the published runs' input quirks, and
# with their reading of weights and targets as well. Two digits were printed.
TABLE = [
    ("2*s*(v - u)", -13.44, -13.24, -13.19, -13.46),
    ("s*(v - u)*(2*u - 1)/v", -13.41, -13.27, -13.16, -13.42),
    ("s*(v + u)*(v*(v - u) - s)/(v*v)", -13.42, -13.19, -13.16, -13.42),
    ("v*s*(v - u)*(u - 1)/(v*v - u*s*(u - 1))", -14.25, -14.32, -14.24, -14.25),
    ("s*(v - u)", -14.74, -14.82, -14.74, -14.73),
    ("u*(u - v)/(2*(v*s + u*u))", -26.22, -26.34, -26.21, -26.21),
]
RULES = [Rule.parse(row[0], Supervised) for row in TABLE]
PUBLISHED = np.array([row[1] for row in TABLE])
AS_PUBLISHED = {"target_phase": 1.0, "weight_reading_interval": 1.0}


def means(parameters, *, input_quirks=True):
    family = Supervised(parameters)
    keys = family.keys("training", 15, 0, "published")
    assert [key.seed + key.index for key in keys] == list(range(1235, 1250))
    instances = [published_instance(family.parameters, key, input_quirks=input_quirks) for key in keys]
    return np.mean([score.fitness for score in family.evaluate_many(RULES, instances)], axis=0)


@pytest.fixture(scope="module")
def fine():
    return means({"resolution": 0.01})


def test_published_fitness_is_reproduced(fine):
    ratio = np.abs(fine / PUBLISHED - 1)
    assert np.all(ratio[3:] < 0.003)  # the slow rules
    assert np.all(ratio[:3] < 0.025)  # the fast ones, which the reading of weights and targets touches


def test_published_reading_of_weights_and_targets_explains_the_rest():
    ours = means({"resolution": 0.01, **AS_PUBLISHED})
    assert np.all(np.abs(ours / PUBLISHED - 1) < 0.002)
    np.testing.assert_allclose(ours, [row[4] for row in TABLE], atol=0.0061)


def test_two_implementations_agree_to_the_printed_digit(fine):
    np.testing.assert_allclose(fine, [row[3] for row in TABLE], atol=0.0061)
    np.testing.assert_allclose(means({"resolution": 0.01}, input_quirks=False), [row[2] for row in TABLE], atol=0.0061)


def test_coarse_grid_is_within_one_per_cent(fine):
    np.testing.assert_allclose(means({"resolution": 0.1}), fine, rtol=0.01)


def test_key_builds_the_published_instance():
    family = Supervised()
    built = family.build(InstanceKey("published", "training", 1235, 3))
    again = published_instance(family.parameters, InstanceKey("published", "training", 1238, 0))
    assert np.array_equal(built.spike_steps, again.spike_steps)
    assert np.array_equal(built.teacher_weights, again.teacher_weights)


def test_validation_always_shifts_up_and_draws_the_same_otherwise():
    family = Supervised()
    for index in range(8):
        training = family.build(InstanceKey("published", "training", 1235, index))
        validation = family.build(InstanceKey("published", "validation", 1235, index))
        assert np.array_equal(training.spike_steps, validation.spike_steps)
        difference = validation.teacher_weights - training.teacher_weights
        assert np.allclose(difference, 0.0) or np.allclose(difference, 30.0)
        assert validation.teacher_weights.min() >= -5.0


def test_input_quirks_lose_spikes():
    family = Supervised({"resolution": 0.01})
    key = InstanceKey("published", "training", 1235, 0)
    heard = published_instance(family.parameters, key)
    drawn = published_instance(family.parameters, key, input_quirks=False)
    lost = len(drawn.spike_steps) - len(heard.spike_steps)
    assert 0 < lost < 0.02 * len(drawn.spike_steps)
    assert not np.any(heard.spike_steps % 500 == 0)
    pairs = np.stack([heard.spike_steps, heard.spike_inputs])
    assert np.unique(pairs, axis=1).shape == pairs.shape


def test_unpublished_split_and_impossible_seed_are_refused():
    family = Supervised()
    with pytest.raises(InputError, match="no test instances from 'published': expected 'sampled'"):
        family.keys("test", 3, 0, "published")
    with pytest.raises(InputError, match="no published instances of split 'test'"):
        family.build(InstanceKey("published", "test", 1, 0))
    with pytest.raises(InputError, match="expected to be from 0 to 4294967295, and -1 came"):
        family.build(InstanceKey("published", "training", -1, 0))
