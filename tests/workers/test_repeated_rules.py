"""Rows that ask for the same rule: each has the scores that it would have alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleforge.language.rule import Rule
from ruleforge.store import open_store
from tasks.reward import Reward
from workers.evaluate import evaluate_rules
from workers.evaluators import SerialEvaluator, ThreadEvaluator
from workers.racing import race
from workers.reproduce import reproduce
from workers.scoring import final_records, rule_record, score_rules

# Some are one rule in two writings, some leave the finite numbers.
TEXTS = ("R*E", "E*R", "E", "(R - 1)*E", "E*(R - 1)", "1/(R*R - 1)", "0*E", "E + R", "R + E")
REWARD = Reward({"n_trials": 10})
KEYS = REWARD.keys("training", 3, 1)


def parsed(text):
    return Rule.parse(text, Reward)


def alone(text):
    (score,) = score_rules(SerialEvaluator(), REWARD, [parsed(text)], KEYS)
    return score


@pytest.fixture(scope="module")
def expected():
    return {text: alone(text) for text in TEXTS}


def assert_rows(scores, texts, expected):
    assert [score.rule.text for score in scores] == list(texts)
    for score, text in zip(scores, texts, strict=True):
        assert score.fitness.tobytes() == expected[text].fitness.tobytes(), text
        assert (score.outcome, score.aggregate) == (expected[text].outcome, expected[text].aggregate)
        assert score.summary() == expected[text].summary()
        assert [record.instance for record in score.records] == [str(key) for key in KEYS]


rows = given(texts=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=12))


@rows
@settings(max_examples=40, deadline=None)
def test_each_row_is_scored_as_if_alone(expected, texts):
    scores = score_rules(SerialEvaluator(), REWARD, [parsed(text) for text in texts], KEYS)
    assert_rows(scores, texts, expected)


@rows
@settings(max_examples=10, deadline=None)
def test_and_where_the_record_has_some_of_the_scores(expected, texts):
    with open_store("sqlite://") as store:
        half = [expected[text] for text in texts[::2]]
        store.add_scores(
            [rule_record(score.rule, _Nobody()) for score in half],
            [record for record in final_records(half) if record.instance != str(KEYS[1])] + final_records(half[:1]),
        )
        scores = score_rules(SerialEvaluator(), REWARD, [parsed(text) for text in texts], KEYS, store=store)
    assert_rows(scores, texts, expected)


class _Nobody:
    """Recognises no rule."""

    @staticmethod
    def recognise(_rule):
        return None


@rows
@settings(max_examples=30, deadline=None)
def test_copies_of_a_rule_change_nothing_in_a_race(texts):
    distinct = list({parsed(text).id: parsed(text) for text in texts}.values())
    field = np.full((2, 3), -3.0)
    single, effort = race(SerialEvaluator(), REWARD, distinct, KEYS, field, 2)
    raced, effort_with_copies = race(SerialEvaluator(), REWARD, [parsed(text) for text in texts], KEYS, field, 2)
    by_id = {score.rule.id: score for score in single}
    assert [score.rule.text for score in raced] == texts
    assert effort == effort_with_copies
    for score in raced:
        other = by_id[score.rule.id]
        assert score.fitness.tobytes() == other.fitness.tobytes()
        assert (score.outcome, score.aggregate, len(score.records)) == (
            other.outcome,
            other.aggregate,
            len(other.records),
        )


@pytest.mark.parametrize("evaluator", [SerialEvaluator(), ThreadEvaluator(2)], ids=["serial", "threads"])
def test_three_copies_have_the_n_of_one(evaluator):
    single, *copies = evaluate_rules(evaluator, REWARD, [parsed(t) for t in ("E", "R*E", "E*R", "R*E")], n=3)
    evaluator.close()
    assert single["n"] == 3
    (lonely,) = evaluate_rules(SerialEvaluator(), REWARD, [parsed("R*E")], n=3)
    for copy in copies:
        assert {**copy, "rule": "R*E"} == {**lonely, "rule": "R*E"}


def test_and_so_in_a_published_experiment():
    rows = reproduce(SerialEvaluator(), Reward, rules=["R*E", "E*R", "R*E"], n=2, parameters={"n_trials": 10})["rows"]
    assert [row["n"] for row in rows] == [2, 2, 2]
    assert len({(*row["fitness"], row["standard_error"]) for row in rows}) == 1
