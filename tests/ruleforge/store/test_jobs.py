"""Jobs: what is submitted comes back, states move as they may, every move is an event."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from ruleforge.errors import InputError
from ruleforge.store import END_STATES, STATES, LeaseLostError


def test_a_job_comes_back_as_it_was_submitted(store, records):
    before = datetime.now(UTC)
    new = records.job(
        kind="evaluation", spec={"task": "reward", "x": [1, 2.5, None]}, name="first", notes="a\nb", tags=("x", "y")
    )
    id = store.create_job(new)
    job = store.job(id)
    assert re.fullmatch("[0-9a-f]{12}", id)
    assert (job.id, job.task, job.kind, job.state) == (id, "reward", "evaluation", "queued")
    assert (job.spec, job.spec_hash, job.versions) == (new.spec, new.spec_hash, new.versions)
    assert (job.name, job.notes, job.tags) == ("first", "a\nb", ("x", "y"))
    assert (job.generation, job.evaluations, job.best, job.seconds, job.history) == (0, 0, None, 0.0, "")
    assert (job.search_state, job.stopped_by, job.result) == (None, None, None)
    assert before <= job.created <= datetime.now(UTC)
    assert job.created.utcoffset() == timedelta(0)
    assert job.updated == job.created


def test_a_specification_that_is_not_json_is_refused(store, records):
    with pytest.raises(InputError, match="cannot be recorded"):
        store.create_job(records.job(spec={"target": float("inf")}))
    with pytest.raises(InputError, match="cannot be recorded"):
        store.create_job(records.job(spec={"target": object()}))
    assert store.jobs() == []


def test_jobs_are_listed_newest_first_and_light(store, records):
    ids = [store.create_job(records.job(task=task)) for task in ("reward", "supervised", "reward")]
    store.set_state(ids[2], "running", "taken")
    store.commit_generation(ids[2], records.generation())
    assert [job.id for job in store.jobs()] == ids[::-1]
    assert [job.id for job in store.jobs(task="reward")] == [ids[2], ids[0]]
    assert [job.id for job in store.jobs(state="queued")] == [ids[1], ids[0]]
    assert [job.id for job in store.jobs(task="reward", limit=1)] == [ids[2]]
    assert store.jobs()[0].search_state is None
    assert store.job(ids[2]).search_state is not None
    with pytest.raises(InputError, match=r"unknown state 'runing'.*Did you mean 'running'"):
        store.jobs(state="runing")


def test_a_job_is_found_by_a_prefix_that_only_it_has(store, records):
    ids = [store.create_job(records.job()) for _ in range(20)]  # 20 ids, 16 first digits: some digit comes twice
    firsts = [id[0] for id in ids]
    twice = next(digit for digit in firsts if firsts.count(digit) > 1)
    with pytest.raises(InputError, match=f"several jobs begin with '{twice}'"):
        store.job(twice)
    assert store.job(ids[0][:11]).id == ids[0]
    assert store.job(ids[0].upper()).id == ids[0]


@pytest.mark.parametrize("unknown", ["no-such-job", "", "%", "_", "g", "ffff", "'; DROP TABLE jobs"])
def test_an_unknown_job_is_named(store, records, unknown):
    if unknown != "ffff":
        store.create_job(records.job())
    with pytest.raises(
        InputError, match=re.escape(f"no job {unknown!r} in {store._name}: `ruleforge jobs` lists them")
    ):
        store.job(unknown)


def test_every_method_refuses_an_unknown_job(store, records):
    calls = [
        lambda: store.set_state("x", "running", ""),
        lambda: store.commit_generation("x", records.generation()),
        lambda: store.archive("x"),
        lambda: store.generations("x"),
        lambda: store.events("x"),
        lambda: store.finish("x", "failed", None, "", {}, {}, []),
    ]
    for call in calls:
        with pytest.raises(InputError, match="no job 'x'"):
            call()


def test_every_transition_is_an_event_with_time_and_reason(store, records):
    id, other = store.create_job(records.job()), store.create_job(records.job())
    moves = [
        ("running", "taken"),
        ("paused", "Ctrl-C"),
        ("running", "resumed"),
        ("running", "taken over"),
        ("cancelled", "asked"),
    ]
    for state, reason in moves:
        store.set_state(id, state, reason)
    events = store.events(id)
    assert [event["kind"] for event in events] == ["state"] * 6
    assert [(e["payload"]["state"], e["payload"]["reason"]) for e in events] == [("queued", "submitted"), *moves]
    previous = [event["payload"]["previous"] for event in events]
    assert previous == [None, "queued", "running", "paused", "running", "running"]
    assert [event["id"] for event in events] == sorted({event["id"] for event in events})
    assert all(event["time"].utcoffset() == timedelta(0) for event in events)
    assert store.events(id, after=events[2]["id"]) == events[3:]
    assert store.job(id).updated == events[-1]["time"]
    assert len(store.events(other)) == 1


@pytest.mark.parametrize("end", sorted(END_STATES))
def test_end_states_are_final(store, records, contents, end):
    id = records.running(store)
    store.set_state(id, end, "over")
    before = contents(store)
    for state in STATES:
        with pytest.raises(InputError, match=f"job {id} has {end} and cannot become {state}"):
            store.set_state(id, state, "again")
    with pytest.raises(InputError, match=f"is {end}"):
        store.commit_generation(id, records.generation())
    with pytest.raises(InputError, match="cannot become succeeded"):
        store.finish(id, "succeeded", "target", "again", {}, {}, [])
    assert contents(store) == before


def test_an_unknown_state_is_refused(store, records):
    id = store.create_job(records.job())
    with pytest.raises(InputError, match="unknown state 'done'"):
        store.set_state(id, "done", "")
    with pytest.raises(InputError, match="finished as one of cancelled, failed, succeeded, and 'paused' came"):
        store.finish(id, "paused", None, "", {}, {}, [])


def test_threads_share_one_store(store, records):
    def work(_: int) -> str:
        id = records.running(store)
        store.commit_generation(id, records.generation())
        return id

    with ThreadPoolExecutor(6) as pool:
        ids = list(pool.map(work, range(24)))
    assert len(set(ids)) == 24
    assert {job.generation for job in store.jobs()} == {1}
    assert store.rules()[0].found == 24


def test_a_closed_store_says_so(store):
    store.close()
    with pytest.raises(InputError, match="was closed: open it again"):
        store.jobs()


def test_openings_of_the_test_stream_are_counted_by_who_holds_the_job(store, records):
    first = store.create_job(records.job())
    id = store.create_job(records.job(started_from=first))
    assert (store.job(id).test_openings, store.job(id).started_from, store.job(first).started_from) == (0, first, None)
    lease = store.take(id, "started")
    with pytest.raises(LeaseLostError, match="is held by"):
        store.open_test(id, "another lease")
    with pytest.raises(LeaseLostError, match="is held by"):
        store.open_test(id)
    with pytest.raises(LeaseLostError):
        store.finish(id, "succeeded", None, "", {}, {}, [], "another lease", opens_test=True)
    assert store.job(id).test_openings == 0
    assert store.open_test(id, lease) == 1
    before = store.job(id).revision
    store.finish(id, "succeeded", None, "", {}, {}, [], lease, opens_test=True)
    assert (store.job(id).test_openings, store.job(id).revision) == (2, before + 1)
    assert store.open_test(id) == 3  # of a job that has ended, for a study
    store.set_state(first, "cancelled", "")
    store.delete_job(first)
    assert [(job.id, job.test_openings, job.started_from) for job in store.jobs()] == [(id, 3, first)]
