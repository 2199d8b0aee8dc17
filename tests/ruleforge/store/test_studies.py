"""Studies: jobs that belong together, made in one piece and only once."""

from __future__ import annotations

import pytest

from ruleforge.errors import InputError
from ruleforge.store import NewStudy


def test_a_study_comes_back_with_its_jobs(store, records):
    jobs = [("small", records.job(spec={"seed": 1})), ("large", records.job(spec={"seed": 2}, priority=3))]
    id = store.create_study(NewStudy(spec={"x": [1, None]}, spec_hash="ab", name="first", jobs=jobs))
    back = store.study(id[:5])
    assert (back.id, back.spec, back.spec_hash, back.name) == (id, {"x": [1, None]}, "ab", "first")
    assert [label for label, _ in back.jobs] == ["small", "large"]
    assert [store.job(job).spec for _, job in back.jobs] == [{"seed": 1}, {"seed": 2}]
    assert [item.id for item in store.waiting()] == [back.jobs[1][1], back.jobs[0][1]]


def test_the_same_study_is_made_once(store, records):
    study = NewStudy(spec={}, spec_hash="ab", name=None, jobs=[("only", records.job())])
    assert store.create_study(study) == store.create_study(study)
    assert len(store.jobs()) == 1


def test_a_study_that_fails_leaves_nothing(store, records, contents):
    before = contents(store)
    jobs = [("good", records.job()), ("bad", records.job(spec={"target": float("inf")}))]
    with pytest.raises(InputError, match="cannot be recorded as JSON"):
        store.create_study(NewStudy(spec={}, spec_hash="ab", name=None, jobs=jobs))
    assert contents(store) == before


def test_an_unknown_study_is_named(store):
    with pytest.raises(InputError, match=r"no study 'x' in .*: `ruleforge study FILE.toml` makes one"):
        store.study("x")
