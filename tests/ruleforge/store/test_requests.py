"""Requests that are sent again: one key makes one thing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from ruleforge.errors import InputError
from ruleforge.store import KeyReusedError, NewStudy, RequestKey, open_store, requests

KEY = RequestKey("a key of the client's", "ab12")


def study(records, **changes):
    fields = {"spec": {}, "spec_hash": "ab", "name": None, "jobs": [("only", records.job())]}
    return NewStudy(**fields | changes)


def test_the_same_request_makes_one_job(store, records):
    first = store.create_job_once(records.job(name="first"), KEY)
    again = store.create_job_once(records.job(name="again"), KEY)
    assert (first.replayed, again.replayed) == (False, True)
    assert first.id == again.id
    assert [job.name for job in store.jobs()] == ["first"]
    other = store.create_job_once(records.job(), RequestKey("another key", KEY.digest))
    assert not other.replayed
    assert len(store.jobs()) == 2


def test_a_key_is_of_one_request(store, records, contents):
    store.create_job_once(records.job(), KEY)
    before = contents(store)
    for call in (
        lambda: store.create_job_once(records.job(), RequestKey(KEY.key, "other digest")),
        lambda: store.create_study_once(study(records), KEY),
    ):
        with pytest.raises(KeyReusedError, match="was used for another request in the last 24 hours: send a new key"):
            call()
    assert contents(store) == before
    assert issubclass(KeyReusedError, InputError)


def test_a_key_is_forgotten_after_a_day(store, records, monkeypatch):
    first = store.create_job_once(records.job(), KEY)
    assert timedelta(hours=24) == requests.REMEMBERED
    monkeypatch.setattr(requests, "REMEMBERED", timedelta(seconds=-1))
    later = store.create_job_once(records.job(), RequestKey(KEY.key, "other digest"))
    assert not later.replayed
    assert later.id != first.id


def test_a_request_that_fails_leaves_its_key_free(store, records, contents):
    before = contents(store)
    with pytest.raises(InputError, match="cannot be recorded"):
        store.create_job_once(records.job(spec={"target": float("inf")}), KEY)
    assert contents(store) == before
    assert not store.create_job_once(records.job(), KEY).replayed


def test_the_same_request_makes_one_study(store, records):
    first = store.create_study_once(study(records), KEY)
    assert store.create_study_once(study(records, spec_hash="of something else"), KEY) == type(first)(first.id, True)
    # Without the key it is found by its content, and that is no replay.
    assert store.create_study_once(study(records), RequestKey("new", "ab12")) == first
    assert len(store.jobs()) == 1


def test_a_deleted_job_frees_its_key(store, records):
    first = store.create_job_once(records.job(), KEY)
    store.set_state(first.id, "cancelled", "asked")
    store.delete_job(first.id)
    second = store.create_job_once(records.job(), KEY)
    assert not second.replayed
    assert store.job(second.id).state == "queued"


def test_two_at_the_same_time_make_one(record_url, records):
    with open_store(record_url) as one, open_store(record_url) as other:
        for number in range(5):
            key = RequestKey(f"key {number}", "ab12")

            def ask(store, key=key):
                return store.create_job_once(records.job(), key)

            with ThreadPoolExecutor(6) as pool:
                made = list(pool.map(ask, [one, other] * 3))
            assert len({created.id for created in made}) == 1
            assert sorted(created.replayed for created in made) == [False] + [True] * 5
        assert len(one.jobs()) == 5
