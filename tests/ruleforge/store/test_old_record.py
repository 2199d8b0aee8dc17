"""A record that was made before there were contexts: upgraded, each score is listed under the context that it had.

`record_0003.json` is what version aa070c6, the last with schema 0003, wrote: evolutions of `reward` (n_trials 5;
learning_rate 10 and 20) and of `supervised`, a study over both learning rates, and two jobs that were deleted, one with
a learning rate of its own (7), one with that of others. All had a population of 4, 5 evaluations, rules of up to 5
nodes, 1 training instance and 2 validation instances. `tables` has every row, table by table; `listed` is what
`Store.browse` gave there, a line for each behaviour; `jobs` and `deleted` name the jobs, `study` the study.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from ruleforge.context import Context
from ruleforge.store import RuleQuery, open_store, schema, upgrade

RECORD = json.loads((Path(__file__).parent / "record_0003.json").read_text())
MOMENTS = ("created", "updated", "time")


def rows_of(tables):
    def value(name, content):
        return datetime.fromisoformat(content) if name in MOMENTS else content

    return {
        name: [
            {column: value(column, content) for column, content in zip(table["columns"], row, strict=True)}
            for row in table["rows"]
        ]
        for name, table in tables.items()
    }


ROWS = rows_of(RECORD["tables"])
# Of what deleted jobs found where scores do not tell in which context that was.
NOBODY_KNOWS = Context.of("reward")
BEHAVIOUR = {row["number"]: row["behaviour"] for row in ROWS["rules"]}
CONTEXT_OF_JOB = {
    row["number"]: Context.of(row["task"], row["versions"]["family"], row["spec"]["parameters"]) for row in ROWS["jobs"]
}


@pytest.fixture
def old(own_url, make_record):
    make_record(own_url, "0003", ROWS)
    assert upgrade(own_url) == schema.REVISION
    with open_store(own_url) as store:
        yield store


def everything(store):
    entries = store.browse(RuleQuery(), limit=1000).items
    return {(entry.context, entry.rule.behaviour): entry for entry in entries}


def found_by():
    """(context, behaviour) → the jobs that are there and found it, from the candidates."""
    found = defaultdict(set)
    ids = {row["number"]: row["id"] for row in ROWS["jobs"]}
    for row in ROWS["candidates"]:
        found[CONTEXT_OF_JOB[row["job"]].digest, BEHAVIOUR[row["rule"]]].add(ids[row["job"]])
    return found


def scored_in():
    """(context, behaviour) → the fitness on training instances, which were one for each job."""
    digests = {row["number"]: row["digest"][:16] for row in ROWS["contexts"]}
    keys = {row["number"]: row["key"] for row in ROWS["instances"]}
    scored = defaultdict(set)
    for row in ROWS["scores"]:
        if "/training/" in keys[row["instance"]]:
            scored[digests[row["context"]], BEHAVIOUR[row["rule"]]].add(row["fitness"])
    return scored


def alone():
    """The context that only a deleted job had: one that has scores and no job."""
    (digest,) = {row["digest"][:16] for row in ROWS["contexts"]} - {
        context.digest for context in CONTEXT_OF_JOB.values()
    }
    return digest


def test_every_job_has_its_context(old):
    jobs = {job.id: job for job in old.jobs()}
    assert {row["id"]: CONTEXT_OF_JOB[row["number"]].digest for row in ROWS["jobs"]} == {
        id: job.context for id, job in jobs.items()
    }
    contexts = old.contexts()
    assert contexts.keys() == {job.context for job in jobs.values()} | {alone(), NOBODY_KNOWS.digest}
    for context in CONTEXT_OF_JOB.values():
        assert contexts[context.digest] == context
    assert contexts[alone()] == Context(alone(), "reward")
    assert contexts[NOBODY_KNOWS.digest] == NOBODY_KNOWS
    named = RECORD["jobs"]
    assert jobs[named["default"]].context == jobs[named["again"]].context != jobs[named["fast"]].context
    assert {configuration: jobs[id].context for configuration, id in old.study(RECORD["study"]).jobs} == {
        "plain": jobs[named["default"]].context,
        "fast": jobs[named["fast"]].context,
    }


def test_found_is_by_context_and_what_deleted_jobs_found_is_not_lost(old):
    entries = everything(old)
    by_candidates = found_by()
    for key, jobs in by_candidates.items():
        assert set(entries[key].jobs) == jobs
        assert entries[key].found >= len(jobs)
    counts = defaultdict(int)
    for (_, behaviour), entry in entries.items():
        counts[entry.rule.task, behaviour] += entry.found
    assert counts == {(item["task"], item["behaviour"]): item["found"] for item in RECORD["listed"]}
    lost = {key: entry.found - len(by_candidates.get(key, ())) for key, entry in entries.items()}
    # Each of the two deleted jobs had found 5.
    assert sum(lost.values()) == 10
    apart = {context for (context, _), n in lost.items() if n}
    assert apart == {alone(), NOBODY_KNOWS.digest}
    assert {(n, tuple(entries[key].jobs)) for key, n in lost.items() if key[0] == alone()} == {(1, ())}
    # Where nobody knows, the rule has scores in several contexts, each of which has jobs too.
    scored = scored_in()
    for context, behaviour in lost:
        if context == NOBODY_KNOWS.digest:
            assert len([digest for digest, of in scored if of == behaviour]) > 1


def test_every_score_is_under_the_context_that_it_had(old):
    scored = scored_in()
    entries = everything(old)
    for key, entry in entries.items():
        if entry.outcome == "ok":
            anywhere = {value for (_, behaviour), values in scored.items() if behaviour == key[1] for value in values}
            assert entry.fitness in (anywhere if key[0] == NOBODY_KNOWS.digest else scored[key])
        elif entry.outcome is not None:
            assert entry.fitness == -math.inf
    for item in RECORD["listed"]:
        theirs = [entry for (_, behaviour), entry in entries.items() if behaviour == item["behaviour"]]
        figures = {
            (None if entry.fitness in (None, -math.inf) else entry.fitness, (entry.validation or {}).get("mean"))
            for entry in theirs
        }
        assert (item["fitness"], item["mean"]) in figures
    with old._database.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM scores")) == len(ROWS["scores"])
    for row in ROWS["contexts"]:
        ids = [rule["id"] for rule in ROWS["rules"]]
        found = old.cached_scores(row["digest"], ids, [instance["key"] for instance in ROWS["instances"]])
        assert len(found) == sum(score["context"] == row["number"] for score in ROWS["scores"])


def test_none_has_a_score_on_the_library_yet(old):
    assert {entry.library for entry in everything(old).values()} == {None}


def test_validations_are_those_of_the_candidates(old):
    numbers = {row["number"]: row["id"] for row in ROWS["jobs"]}
    kept = {
        (numbers[row["job"]], row["rule"]): (row["validation_mean"], row["validation_n"])
        for row in ROWS["candidates"]
        if row["validation_n"] is not None
    }
    ids = {row["id"]: row["number"] for row in ROWS["rules"]}
    found = {
        (job.id, ids[item.rule.id]): (item.validation["mean"], item.validation["n"])
        for job in old.jobs()
        for item in old.front(job.id)
        if item.validation is not None
    }
    assert found
    assert found == kept


@pytest.mark.parametrize("rate", [10.0, 7.0])
def test_new_jobs_go_on_in_the_contexts_of_old_ones(old, records, rate):
    of_default = old.contexts()[old.job(RECORD["jobs"]["default"]).context]
    parameters = {**of_default.parameters, "learning_rate": rate}
    context = Context.of("reward", 1, parameters)
    assert context.digest == (of_default.digest if rate == 10.0 else alone())
    key, before = next((key, entry) for key, entry in everything(old).items() if key[0] == context.digest)
    again = records.found(old, records.candidate(before.rule, 1000.0), context=context)
    after = everything(old)[key]
    assert before.context in (of_default.digest, alone())
    assert (after.found, after.jobs[0]) == (before.found + 1, again)
    assert old.contexts()[context.digest] == context
