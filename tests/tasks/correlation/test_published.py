"""The published experiments, held to the figures of an independent account of them."""

import numpy as np
import pytest

from ruleforge.family import InstanceKey, Outcome
from ruleforge.language.rule import Rule
from tasks.correlation import Correlation
from tasks.correlation.literature import EVOLVED
from tasks.published import correlation as published

REPRODUCED = (20.882, 20.029, 14.533, 13.883, 12.370, 11.598, 11.208, 10.985, 4.678, 3.245)


def test_evolved_rules_score_what_was_reproduced_to_every_printed_digit():
    family = Correlation()
    rules = [Rule.parse(text, Correlation) for text, _ in EVOLVED]
    keys = family.keys("training", 8, published.DRAW_SEED, "published")
    scores = [family.evaluate(rules, family.build(key)) for key in keys]
    fitness = np.array([score.fitness for score in scores])
    assert all(outcome is Outcome.ok for score in scores for outcome in score.outcome)
    found = [family.aggregate(fitness[:, row]) for row in range(len(rules))]
    np.testing.assert_allclose(found, REPRODUCED, rtol=0, atol=0.00051)
    np.testing.assert_allclose(found, [fitness for _, fitness in EVOLVED], rtol=0.002)


def test_homeostatic_rule_scores_what_was_reproduced():
    family = Correlation(published.HOMEOSTATIC)
    rule = family.known_rules()["homeostatic STDP"].rule
    keys = family.keys("validation", 20, published.DRAW_SEED, "published")
    fitness = [family.evaluate([rule], family.build(key)).fitness[0] for key in keys]
    assert np.mean(fitness) == pytest.approx(18.36, abs=0.005)
    assert np.std(fitness) == pytest.approx(5.7, abs=0.05)
    np.testing.assert_allclose(fitness[:3], (18.145, 20.930, 24.878), rtol=0, atol=0.00051)


def test_validation_of_an_evolved_rule_scores_what_was_published():
    """Experiments 0 and 10 of the published validation of rule 8, to every published digit."""
    family = Correlation(published.VALIDATION)
    rule = family.known_rules()["Jordan 2021, rule 8"].rule
    keys = [InstanceKey("published", "validation", 11216123, index) for index in (0, 10)]
    fitness = [family.evaluate([rule], family.build(key)).fitness[0] for key in keys]
    np.testing.assert_allclose(fitness, (12.338, 0.437), rtol=0, atol=0.00051)


def test_an_experiment_does_not_depend_on_the_order_in_which_they_are_built():
    family = Correlation({"duration": 2000.0, "readout": 2000.0})
    keys = family.keys("training", 3, 77, "published")
    last_first = [family.build(key) for key in reversed(keys)][::-1]
    again = [family.build(key) for key in keys]
    for one, other in zip(last_first, again, strict=True):
        np.testing.assert_array_equal(one.passes, other.passes)
        np.testing.assert_array_equal(one.inputs, other.inputs)
        np.testing.assert_array_equal(one.initial_weights, other.initial_weights)
    assert not np.array_equal(again[0].passes, again[1].passes)
    assert again[0].initial_potential == again[2].initial_potential == pytest.approx(10.125, abs=0.0005)


def test_validation_reads_out_from_a_potential_of_its_own():
    family = Correlation({"duration": 2000.0, "readout": 2000.0, "initial_weight": 0.5})
    instance = family.build(InstanceKey("published", "validation", 3, 1))
    assert instance.readout_potential == np.random.RandomState(1).normal(0, 10)
    assert instance.initial_potential == np.random.RandomState(17893).normal(0, 10)
    assert set(instance.initial_weights) == {0.5}
