"""Generations: one transaction each, committed once, and everything comes back."""

from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import pytest

from ruleforge.errors import InputError
from ruleforge.store import open_store


def test_a_generation_comes_back(store, records):
    id = records.running(store)
    first = [records.candidate(7, 2.5, order=1), records.candidate(3, -math.inf, order=0)]
    second = [records.candidate(5, 0.1 + 0.2, order=0)]
    store.commit_generation(id, records.generation(0, first))
    store.commit_generation(id, records.generation(1, second, best=2.5, median=-math.inf, seconds=1.5, evaluations=30))
    job = store.job(id)
    assert (job.generation, job.evaluations, job.best, job.seconds, job.history) == (2, 30, 2.5, 1.5, "0001")
    assert store.archive(id) == [first[1], first[0], second[0]]
    last = store.generations(id)[1]
    assert last == {
        "number": 1,
        "evaluations": 30,
        "best": 2.5,
        "median": None,
        "n_distinct": 1,
        "seconds": 1.5,
        "front": [second[0].rule.id],
    }
    event = store.events(id)[-1]
    assert event["kind"] == "generation"
    assert event["payload"] == {name: last[name] for name in last if name != "front"}


def test_the_search_state_comes_back_to_the_last_bit(store, records):
    state = {"b": [0.1 + 0.2, 5e-324, -0.0, 1.7976931348623157e308, 2**63 + 1], "a": {"text": "−ü\x00\n", "none": None}}
    id = records.running(store)
    store.commit_generation(id, records.generation(search_state=state))
    back = store.job(id).search_state
    assert back == state
    assert list(back) == ["b", "a"]
    assert math.copysign(1, back["b"][2]) == -1


def test_one_rule_in_two_jobs_is_one_rule_and_each_job_keeps_its_writing(store, records):
    one = records.rule(1, text="E*(R - 1)", tokens=[["*", "E", "-", "R", 1.0]])
    other = replace(one, text="(R - 1)*E", tokens=[["*", "-", "R", 1.0, "E"]])
    jobs = [records.found(store, records.candidate(rule)) for rule in (one, other)]
    assert [store.archive(job)[0].rule for job in jobs] == [one, other]
    assert store.rule(one.id).rule == one
    assert store.rule(one.id).found == 2


def test_a_rule_may_come_twice_in_a_job(store, records):
    id = records.running(store)
    store.commit_generation(id, records.generation(0, [records.candidate(1, 1.0), records.candidate(1, 1.0, order=1)]))
    store.commit_generation(id, records.generation(1, [records.candidate(1, 1.0)]))
    assert len(store.archive(id)) == 3
    assert store.rule(records.rule(1).id).found == 1


def test_an_empty_generation_counts(store, records):
    id = records.running(store)
    store.commit_generation(id, records.generation(candidates=[], best=None, median=None))
    assert store.job(id).generation == 1
    assert store.job(id).best is None
    assert store.archive(id) == []


@pytest.mark.parametrize("number", [0, 2])
def test_a_generation_is_committed_once_and_in_turn(store, records, contents, number):
    id = records.found(store, records.candidate(1))
    before = contents(store)
    with pytest.raises(InputError, match=f"has 1 generations, and number {number} came"):
        store.commit_generation(id, records.generation(number))
    assert contents(store) == before


@pytest.mark.parametrize("state", ["queued", "paused"])
def test_only_a_running_job_takes_a_generation(store, records, contents, state):
    id = records.running(store)
    store.set_state(id, state, "")
    before = contents(store)
    with pytest.raises(InputError, match=f"job {id} is {state}"):
        store.commit_generation(id, records.generation())
    assert contents(store) == before


def _nan_tokens(records, good):
    return replace(good, candidates=[records.candidate(records.rule(8, tokens=[[math.nan]]))], scores=[])


def _one_place_for_two(records, good):
    return replace(good, candidates=[good.candidates[0], replace(good.candidates[1], order=0)])


def _score_of_an_unknown_rule(records, good):
    return replace(good, scores=[*good.scores, records.score(77)])


def _metrics_that_are_not_json(records, good):
    return replace(good, scores=[*good.scores, records.score(8, index=1, metrics={"spikes": object()})])


def _front_that_is_not_json(records, good):
    return replace(good, front=[object()])


def _search_state_that_is_not_finite(records, good):
    return replace(good, search_state={"fitness": math.nan})


def _no_history(records, good):
    return replace(good, history=None)


@pytest.mark.parametrize(
    "fault",
    [
        _nan_tokens,
        _one_place_for_two,
        _score_of_an_unknown_rule,
        _metrics_that_are_not_json,
        _front_that_is_not_json,
        _search_state_that_is_not_finite,
        _no_history,
    ],
)
def test_a_generation_that_fails_leaves_nothing(store, records, contents, fault):
    # The faults come to light at one stage of the commit after another, the last at its end.
    id = records.found(store, records.candidate(1))
    before = contents(store)
    generation = fault(records, records.generation(1, [records.candidate(8), records.candidate(9, order=1)]))
    with pytest.raises(InputError, match=r"nothing was written|names the rule"):
        store.commit_generation(id, generation)
    assert contents(store) == before
    store.commit_generation(id, records.generation(1))
    assert store.job(id).generation == 2


_DIES_IN_COMMIT = """
import os, sys
from ruleforge.store import generations, open_store
from ruleforge.store.records import CandidateRecord, GenerationRecord, RuleRecord, ScoreRecord

url, job = sys.argv[1:]
store = open_store(url)
generations.add_events = lambda *_: os._exit(9)  # the last statement before the commit
rule = RuleRecord("ff", "reward", "R", [["R"]], 1, "bb")
store.commit_generation(job, GenerationRecord(
    number=1, search_state={}, history="x", evaluations=9, best=1.0, median=1.0, n_distinct=1, seconds=1.0,
    candidates=[CandidateRecord(rule, 1.0, "ok", 0)], scores=[ScoreRecord("ff", "c", "i", 1.0, "ok")], front=["ff"]))
"""


def test_a_process_that_dies_in_a_commit_leaves_nothing(tmp_path, records, contents):
    url = f"sqlite:///{tmp_path}/record.db"
    with open_store(url) as store:
        id = records.found(store, records.candidate(1))
        before = contents(store)
        assert subprocess.run([sys.executable, "-c", _DIES_IN_COMMIT, url, id], check=False).returncode == 9
        assert contents(store) == before
        store.commit_generation(id, records.generation(1))
    with open_store(url) as store:
        assert store.job(id).generation == 2


def test_of_two_that_commit_the_same_generation_one_is_refused(tmp_path, records):
    url = f"sqlite:///{tmp_path}/record.db"
    with open_store(url) as one, open_store(url) as other:
        id = records.running(one)

        def commit(store):
            try:
                store.commit_generation(id, records.generation())
            except InputError as error:
                return str(error)
            return "committed"

        with ThreadPoolExecutor(2) as pool:
            results = sorted(pool.map(commit, [one, other]))
        assert results[0] == "committed"
        assert "committed already" in results[1]
        assert len(one.archive(id)) == 1


def test_a_finished_job_has_its_result_and_validations(store, records):
    ok, bad = records.candidate(1, 5.0), records.candidate(2, -math.inf)
    id = records.found(store, ok, bad)
    result = {"job": id, "champion": {"fitness": -math.inf, "all": (1.0, math.nan)}}
    validation = {"aggregate": 4.5, "mean": 4.0, "standard_error": math.nan, "n": 40}
    held_out = records.score(1, fitness=4.0, instance="sampled/validation/1/0")
    store.finish(id, "succeeded", "target", "the target was reached", result, {ok.rule.id: validation}, [held_out])
    job = store.job(id)
    assert (job.state, job.stopped_by) == ("succeeded", "target")
    assert job.result == {"job": id, "champion": {"fitness": None, "all": [1.0, None]}}
    assert store.events(id)[-1]["payload"] == {
        "state": "succeeded",
        "previous": "running",
        "reason": "the target was reached",
    }
    assert store.rule(ok.rule.id).validation == validation | {"standard_error": None}
    assert store.rule(bad.rule.id).validation is None
    assert store.cached_scores("context", [ok.rule.id], [held_out.instance]) == {
        (ok.rule.id, held_out.instance): held_out
    }


def test_a_finish_that_fails_leaves_the_job_running(store, records, contents):
    id = records.found(store, records.candidate(1))
    before = contents(store)
    validation = {"aggregate": 1.0, "mean": 1.0, "standard_error": 0.0, "n": 3}
    good, stranger = records.rule(1).id, records.rule(2).id
    with pytest.raises(InputError, match="is no candidate of job"):
        store.finish(id, "succeeded", None, "", {}, {good: validation, stranger: validation}, [])
    with pytest.raises(InputError, match="cannot be recorded"):
        store.finish(id, "succeeded", None, "", {"x": object()}, {good: validation}, [records.score(1, index=5)])
    with pytest.raises(InputError, match="names the rule"):
        store.finish(id, "succeeded", None, "", {}, {good: validation}, [records.score(2)])
    assert contents(store) == before


def test_a_record_is_plain(store, records):
    id = records.found(store, records.candidate(1))
    assert asdict(store.job(id))["id"] == id
    with pytest.raises(AttributeError):
        store.job(id).state = "paused"
