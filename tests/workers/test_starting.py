"""A search that starts from what another one found: its specification alone gives the same result again."""

from __future__ import annotations

import pytest

import ruleforge
from ruleforge.errors import InputError, SpecificationError
from ruleforge.spec import job_spec
from ruleforge.store import NewJob, open_store
from workers.evaluators import SerialEvaluator
from workers.evolve import run_job, submit
from workers.starting import from_front

GIVEN = {
    "task": "reward",
    "seed": 3,
    "parameters": {"n_trials": 20},
    "instances": {"training": 2, "validation": 2},
    "search": {"population": 6, "offspring": 8},
    "budget": {"evaluations": 60},
}


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A record with one finished job: its URL, and the result."""
    url = f"sqlite:///{tmp_path_factory.mktemp('record')}/record.db"
    with open_store(url) as store:
        return url, run_job(store, submit(store, job_spec(GIVEN)), SerialEvaluator())


def test_the_specification_alone_gives_the_result_again(record):
    url, first = record
    other = {**GIVEN, "seed": 9, "parameters": {"n_trials": 30}, "grammar": {"operators": ["+", "*"]}}
    with open_store(url) as store:
        spec, source = from_front(store, first["job"][:6], other)
        job = submit(store, spec, started_from=source)
        found = run_job(store, job, SerialEvaluator())
        assert store.job(job).started_from == source == first["job"]
        begun = [(c.rule.text, c.origin) for c in store.archive(job)][: len(first["front"])]
    texts = [item["rule"] for item in first["front"]]
    assert list(spec.grammar.seed_rules) == texts
    assert [text for text, origin in begun if origin == "seed"] == texts
    assert spec == job_spec({**other, "grammar": {"operators": ["+", "*"], "seed_rules": texts}})
    with open_store("sqlite://") as empty:
        alone = run_job(empty, submit(empty, job_spec(spec.model_dump())), SerialEvaluator())
    assert (alone["history"], alone["front"]) == (found["history"], found["front"])


def test_own_seed_rules_come_first_and_nothing_comes_twice(record):
    url, first = record
    texts = [item["rule"] for item in first["front"]]
    with open_store(url) as store:
        spec, _ = from_front(store, first["job"], {**GIVEN, "grammar": {"seed_rules": ["R*R*E", texts[-1]]}})
    assert spec.grammar.seed_rules == ("R*R*E", texts[-1], *texts[:-1])


@pytest.mark.parametrize("method", ["mu_plus_lambda", "nsga2", "lexicase"])
def test_every_method_over_trees_can(record, method):
    url, first = record
    with open_store(url) as store:
        spec, _ = from_front(store, first["job"], {**GIVEN, "search": {"method": method}})
    assert spec.grammar.seed_rules


def test_in_python(record):
    url, first = record
    result = ruleforge.evolve(**GIVEN | {"budget": 80}, db=url, from_job=first["job"])
    again = ruleforge.evolve(**GIVEN | {"budget": 70}, db=url, from_job=result)
    with open_store(url) as store:
        assert store.job(result.job).started_from == first["job"]
        assert store.job(again.job).started_from == result.job
    # The seed gives the training instances, and on the same ones nothing is lost of what a front had.
    assert again.champion.fitness >= result.champion.fitness >= first["champion"]["fitness"]


@pytest.mark.parametrize("nonsense", [5, True, b"ab", ["ab"], {"id": "ab"}, 1.5])
def test_what_is_no_job(nonsense, record):
    with pytest.raises(InputError, match="expected the id of a job, or its result"):
        ruleforge.evolve(**GIVEN, db=record[0], from_job=nonsense)
    with pytest.raises(InputError, match="expected the id of a job, or its result"):
        ruleforge.resume(nonsense, db=record[0])


def refused(url, job, **changes):
    """What a start from a job's front is refused with: (pointer, sentence); nothing is recorded."""
    with open_store(url) as store:
        before = store.jobs()
        with pytest.raises(InputError) as error:
            from_front(store, job, {**GIVEN, **changes})
        assert store.jobs() == before
    found = error.value
    return found.errors if isinstance(found, SpecificationError) else [(found.pointer, str(found))]


def test_what_cannot_be(record):
    url, first = record
    job = first["job"]
    ((pointer, said),) = refused(url, job, search={"method": "jordan2021"})
    assert (pointer, "cannot start from the front" in said, "nsga2" in said) == ("/search/method", True, True)
    ((pointer, said),) = refused(url, job, task="supervised", parameters={}, instances={})
    assert pointer == "/from"
    assert "is of the task 'reward', and its rules mean nothing to 'supervised'" in said
    outside = refused(url, job, grammar={"templates": {"dw": "exp(?)"}})
    assert {pointer for pointer, _ in outside} == {"/from"}
    assert all(f"the front of job {job}: " in said and "does not follow the template" in said for _, said in outside)
    assert refused(url, "ffffffffffff")[0][1].startswith("no job 'ffffffffffff'")
    assert refused(url, job, grammar={"seed_rules": ["R*"]})[0][0] == "/grammar/seed_rules/0"
    assert refused(url, job, grammar=5)[0][0] == "/grammar"
    assert refused(url, job, grammar={"seed_rules": "R*E"})[0][0] == "/grammar/seed_rules"
    assert refused(url, job, sed=5)[0][0] == "/sed"


def test_without_a_front(record):
    url, _ = record
    with open_store(url) as store:
        waiting = submit(store, job_spec(GIVEN))
        evaluation = store.create_job(NewJob(task="reward", kind="evaluation", spec={"rule": "R*E"}, spec_hash="0"))
    assert "has no rule that stayed finite so far: there is no front to start from" in refused(url, waiting)[0][1]
    assert "is an evaluation: there is no front to start from" in refused(url, evaluation)[0][1]


def test_from_a_job_that_still_runs_the_newest_front_is_taken(record):
    url, _ = record
    with open_store(url) as store:
        job = submit(store, job_spec({**GIVEN, "seed": 12}))
        seen = []
        run_job(store, job, SerialEvaluator(), stop=lambda: seen.append(0) or len(seen) > 20)
        spec, _ = from_front(store, job, GIVEN)
        assert list(spec.grammar.seed_rules) == [item.rule.text for item in store.front(job)] != []
