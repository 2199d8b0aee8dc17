"""Racing: who is given up, what it saves, and that it decides from the job's own history alone."""

from __future__ import annotations

import numpy as np
import pytest

from ruleforge.family import Outcome
from ruleforge.language.rule import Rule
from tasks.correlation import Correlation
from tasks.reward import Reward
from workers.evaluators import SerialEvaluator, ThreadEvaluator
from workers.racing import PROMOTED, Effort, _promoted, race, stages
from workers.scoring import score_rules

SMALL = {"n_trials": 60}


@pytest.fixture
def family():
    return Reward(SMALL)


@pytest.fixture
def candidates():
    texts = ["(R - 1)*E", "R", "E", "1/E", "E*E", "0.1 - 10", "(R - 1)*(E - 1)", "R + 10", "10*R*E", "R - E"]
    return [Rule.parse(text, Reward) for text in texts]


def test_stages_are_whole_batches_and_end_with_all_instances():
    assert stages(10, 1) == [1, 3, 10]
    assert stages(8, 1) == [1, 3, 8]
    assert stages(15, 16) == [15]
    assert stages(40, 16) == [16, 40]
    assert stages(1, 1) == [1]


def test_without_competitors_and_few_candidates_nothing_is_given_up(family, candidates):
    keys = family.keys("training", 5, 1)
    raced, effort = race(SerialEvaluator(), family, candidates, keys, np.zeros((0, 5)), 16)
    full = score_rules(SerialEvaluator(), family, candidates, keys)
    assert [score.aggregate for score in raced] == [score.aggregate for score in full]
    assert [score.outcome for score in raced] == [score.outcome for score in full]
    # Rules that leave the finite numbers on the first instance are not simulated on the others.
    finite = int(np.sum([np.isfinite(score.fitness[0]) for score in full]))
    assert finite < 10
    assert effort == Effort(10, 10 + finite * 4, 50, 0)


def test_a_rule_far_below_a_full_field_is_given_up_after_the_first_instance(family, candidates):
    keys = family.keys("training", 10, 1)
    field = np.full((4, 10), 59.0)
    raced, effort = race(SerialEvaluator(), family, candidates, keys, field, 4)
    assert {score.outcome for score in raced} <= {Outcome.rejected_at_hurdle, Outcome.non_finite, Outcome.ok}
    assert effort.rejected >= 8 - PROMOTED
    assert effort.simulations < effort.full_simulations / 3
    for score in raced:
        if score.outcome is Outcome.rejected_at_hurdle:
            assert score.aggregate == -np.inf


def test_those_that_are_scored_to_the_end_have_the_fitness_of_full_scoring(family, candidates):
    keys = family.keys("training", 10, 3)
    field = np.full((3, 10), -20.0)
    raced, _ = race(ThreadEvaluator(2), family, candidates, keys, field, 3)
    full = score_rules(SerialEvaluator(), family, candidates, keys)
    finished = [(a, b) for a, b in zip(raced, full, strict=True) if a.outcome is Outcome.ok]
    assert finished
    for a, b in finished:
        np.testing.assert_array_equal(a.fitness, b.fitness)


def test_the_known_rules_keep_their_ranking():
    family = Reward({"n_trials": 200})
    rules = [known.rule for known in Reward.known_rules().values()]
    keys = family.keys("training", 10, 0)
    raced, _ = race(SerialEvaluator(), family, rules, keys, np.zeros((0, 10)), 2)
    full = score_rules(SerialEvaluator(), family, rules, keys)
    best = max(full, key=lambda score: score.aggregate)
    assert max(raced, key=lambda score: score.aggregate).rule == best.rule
    order = [score.rule.id for score in sorted(full, key=lambda s: -s.aggregate)]
    kept = [score.rule.id for score in sorted(raced, key=lambda s: -s.aggregate) if score.outcome is Outcome.ok]
    assert kept == [identity for identity in order if identity in kept]


SHORT = {"duration": 20_000.0, "readout": 6000.0}
DETECTS, WEAK = "depress: w - 1; facilitate: x - 1", "depress: 0.1*x; facilitate: 0"


class Counting(SerialEvaluator):
    """Notes what was asked for: (texts of the rules, keys)."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def score(self, family, rules, keys, *further):
        self.asked.append(([rule.text for rule in rules], list(keys)))
        return super().score(family, rules, keys, *further)


def test_where_the_minimum_counts_one_bad_instance_gives_a_rule_up_and_the_hardest_comes_first():
    family = Correlation(SHORT)
    keys = family.keys("training", 4, 0)
    rules = [Rule.parse(text, Correlation) for text in (DETECTS, WEAK)]
    full = score_rules(SerialEvaluator(), family, rules, keys)
    field = np.tile([0.2, 0.1, 0.0, 0.3], (2, 1)) + full[0].aggregate - 0.4
    assert full[1].fitness[2] < field.min()
    evaluator = Counting()
    raced, effort = race(evaluator, family, rules, keys, field, 2)
    assert [key for _, asked in evaluator.asked for key in asked] == [keys[place] for place in (2, 1, 0, 3)]
    assert raced[1].outcome is Outcome.rejected_at_hurdle
    assert evaluator.asked[-1][0] == [rules[0].text]
    assert effort.rejected == 1
    # Whatever order they were simulated in, scores stand in that of the keys.
    np.testing.assert_array_equal(raced[0].fitness, full[0].fitness)
    assert raced[0].records == full[0].records
    assert raced[0].aggregate == full[0].aggregate
    assert [record.instance for record in raced[1].records] == [
        str(key) for key in keys if str(key) in {record.instance for record in raced[1].records}
    ]


def test_without_a_full_field_one_bad_instance_does_not_give_a_rule_up():
    family = Correlation(SHORT)
    keys = family.keys("training", 2, 0)
    rules = [Rule.parse(text, Correlation) for text in (DETECTS, WEAK)]
    raced, _ = race(SerialEvaluator(), family, rules, keys, np.full((1, 2), 50.0), 2)
    assert [score.outcome for score in raced] == [Outcome.ok, Outcome.ok]


def test_the_promoted_are_the_best_in_whole_batches():
    assert _promoted([5.0, 1.0, 4.0], [], 8, 16) == {0, 1, 2}
    assert _promoted([5.0, 1.0, 4.0], [3.0, 2.0], 3, 16) == {0, 2}
    assert _promoted([5.0, 5.0, 5.0], [], 3, 2) == {0, 1}
    assert _promoted([1.0, 2.0], [9.0, 9.0], 2, 16) == set()
