"""Rules: one entry per behaviour, best first; scores are kept once and found again."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ruleforge.errors import InputError


def test_rules_are_grouped_by_behaviour_and_shown_by_the_simplest(store, records):
    short = records.rule(1, text="E*(R - 1)", complexity=5)
    long = records.rule(2, text="E*(R - 1)/(R*R)", complexity=9, behaviour=short.behaviour, tokens=[["long"]])
    first = records.found(store, records.candidate(long, 210.0))
    assert [entry.rule for entry in store.rules()] == [long]
    second = records.found(store, records.candidate(short, 200.0), records.candidate(3, 50.0))
    entries = store.rules()
    assert [entry.rule.text for entry in entries] == [short.text, "R*3"]
    assert (entries[0].fitness, entries[0].outcome, entries[0].validation) == (210.0, "ok", None)
    assert (entries[0].found, entries[0].jobs) == (2, [second, first])
    assert (entries[1].found, entries[1].jobs) == (1, [second])


@pytest.mark.parametrize("reverse", [False, True])
def test_the_simplest_text_does_not_depend_on_the_order_of_arrival(store, records, reverse):
    alike = [
        records.rule(i, text=text, complexity=5, behaviour="b")
        for i, text in enumerate(["R*E + R", "R*E + E", "E + R*R*E"])
    ]
    for rule in reversed(alike) if reverse else alike:
        records.found(store, records.candidate(rule))
    assert [entry.rule.text for entry in store.rules()] == ["R*E + E"]


def test_the_best_validated_come_first_then_the_best_trained(store, records):
    id = records.found(store, *(records.candidate(i, f) for i, f in enumerate([9.0, 3.0, -math.inf, 5.0, 7.0])))
    records.finish(store, id, {records.rule(1).id: 2.0, records.rule(3).id: -6.0})
    entries = store.rules()
    assert [entry.rule.text for entry in entries] == ["R*1", "R*3", "R*0", "R*4", "R*2"]
    assert entries[0].validation == {"aggregate": 2.0, "mean": 2.0, "standard_error": 0.5, "n": 40}
    assert (entries[0].fitness, entries[2].validation) == (3.0, None)
    assert (entries[4].fitness, entries[4].outcome) == (-math.inf, "non_finite")
    assert [entry.rule.text for entry in store.rules(top=2)] == ["R*1", "R*3"]


def test_a_behaviour_keeps_its_best_validation(store, records):
    means = [3.0, 8.0, 5.0]
    jobs = [records.found(store, records.candidate(1, 10.0 - mean)) for mean in means]
    for job, mean in zip(jobs, means, strict=True):
        records.finish(store, job, {records.rule(1).id: mean})
    records.found(store, records.candidate(1, 1000.0))  # trained better, never validated
    (entry,) = store.rules()
    assert (entry.fitness, entry.validation["mean"], entry.found) == (2.0, 8.0, 4)
    assert store.rule(records.rule(1).id) == entry


def test_rules_of_one_task(store, records):
    records.found(store, records.candidate(1, 1.0))
    other = records.rule(2, task="supervised", behaviour=records.rule(1).behaviour)
    records.found(store, records.candidate(other, 2.0), task="supervised")
    assert [entry.rule.task for entry in store.rules()] == ["reward", "supervised"]
    assert [entry.rule.task for entry in store.rules(task="reward")] == ["reward"]
    assert [entry.found for entry in store.rules()] == [1, 1]
    assert store.rules(task="correlation") == []


def test_a_rule_is_found_by_a_prefix_that_only_it_has(store, records):
    low, high = records.rule(1, id="a" * 31 + "1"), records.rule(2, id="a" * 31 + "2", known_as="R·E", known_factor=2.0)
    records.found(store, records.candidate(low), records.candidate(high, 3.0))
    assert store.rule("a" * 31 + "2").rule == high
    assert store.rule("a" * 31 + "2").fitness == 3.0
    with pytest.raises(InputError, match="several rules begin with 'aaa'"):
        store.rule("aaa")
    for unknown in ("b", "", "champion", "%"):
        with pytest.raises(InputError, match=r"no rule .* in .*: `ruleforge rules` lists them"):
            store.rule(unknown)


def test_a_rule_that_was_not_validated_shows_what_an_equal_one_reached(store, records):
    shown = records.rule(1)
    equal = records.rule(2, behaviour=shown.behaviour, complexity=9)
    id = records.found(store, records.candidate(shown, 5.0), records.candidate(equal, 6.0))
    assert (store.rule(shown.id).fitness, store.rule(equal.id).fitness) == (5.0, 6.0)
    records.finish(store, id, {equal.id: 4.0})
    assert store.rule(shown.id).rule == shown
    assert store.rule(shown.id).validation["mean"] == 4.0


def test_a_name_that_was_learnt_later_is_kept(store, records):
    unnamed = records.rule(1)
    records.found(store, records.candidate(unnamed))
    named = replace(unnamed, known_as="reward-modulated", known_factor=0.1)
    records.found(store, records.candidate(named))
    assert store.rule(unnamed.id).rule == named


def test_scores_of_no_job_are_found_again_and_their_rule_is_shown(store, records):
    rule = records.rule(1)
    given = [records.score(rule, index, fitness) for index, fitness in enumerate([0.1 + 0.2, -math.inf, 1e300])]
    store.add_scores([rule], given)
    keys = [score.instance for score in given]
    assert store.cached_scores("context", [rule.id, "other"], [*keys, "more"]) == {
        (rule.id, score.instance): score for score in given
    }
    assert store.cached_scores("another context", [rule.id], keys) == {}
    assert store.cached_scores("context", [], keys) == {}
    assert store.cached_scores("context", [rule.id], []) == {}
    found = store.rule(rule.id)
    assert (found.rule, found.fitness, found.outcome, found.found, found.jobs) == (rule, None, None, 0, [])
    assert store.rules() == []


def test_a_score_that_is_there_stays(store, records):
    rule = records.rule(1)
    first = records.score(rule, fitness=1.0, metrics={"accuracy": math.nan, "spikes": [1, math.inf]})
    store.add_scores([rule], [first, replace(first, fitness=2.0)])
    store.add_scores([rule], [replace(first, fitness=3.0)])
    (kept,) = store.cached_scores("context", [rule.id], [first.instance]).values()
    assert (kept.fitness, kept.metrics) == (1.0, {"accuracy": None, "spikes": [1, None]})


def test_the_context_separates_scores(store, records):
    rule = records.rule(1)
    store.add_scores([rule], [records.score(rule, fitness=f, context=c) for c, f in (("a", 1.0), ("b", 2.0))])
    key = records.score(rule).instance
    assert [store.cached_scores(c, [rule.id], [key])[rule.id, key].fitness for c in "ab"] == [1.0, 2.0]


def test_more_rules_and_instances_than_one_statement_takes(store, records):
    rules = [records.rule(number) for number in range(1200)]
    scored = [records.score(rule, index, float(index)) for rule in rules[:3] for index in range(1100)]
    store.add_scores(rules, scored)
    keys = [score.instance for score in scored]
    found = store.cached_scores("context", [rule.id for rule in rules], keys)
    assert len(found) == 3300
    assert found[rules[2].id, "sampled/training/1/1099"].fitness == 1099.0
    id = records.found(store, *(records.candidate(rule, rule.complexity) for rule in rules))
    assert len(store.archive(id)) == 1200
    assert len(store.rules(top=2000)) == 1200
