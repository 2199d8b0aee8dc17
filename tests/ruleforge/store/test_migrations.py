"""Migrations: from nothing to the newest schema is the schema; an older record is upgraded when asked."""

from __future__ import annotations

import math
import re
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from ruleforge.errors import StoreError
from ruleforge.store import RuleQuery, open_store, opening, schema, upgrade

_NEXT = '''"""One more table."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table("added", sa.Column("id", sa.Integer(), primary_key=True))
    {then}
'''


def test_the_migrations_lead_to_the_schema(store):
    with store._database.reading() as connection:
        here = connection.dialect.name

        def is_for_this_database(item: Any, *_: object) -> bool:
            condition = getattr(item, "_ddl_if", None)
            return condition is None or condition.dialect == here

        context = MigrationContext.configure(connection, opts={"include_object": is_for_this_database})
        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.REVISION


def test_the_newest_migration_is_the_one_that_is_expected():
    assert opening.known_revisions()[0] == schema.REVISION


def _definitions(path: Path) -> dict[str, str]:
    """The SQL of every table and index, constraints in alphabetical order."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    # A column that was added stands in the line of the one before it, and one that was dropped took its line's end.
    lines = {name: [part.strip(" ,)\t") for part in re.split(r"\n|, (?=\w+ [A-Z]+)", sql)] for name, sql in rows}
    return {name: "\n".join(sorted(filter(None, parts))) for name, parts in lines.items() if name != "alembic_version"}


def test_the_migrations_lead_to_the_same_storage(tmp_path):
    # What the comparison by Alembic does not see: WITHOUT ROWID, AUTOINCREMENT, names of constraints.
    open_store(f"sqlite:///{tmp_path}/migrated.db").close()
    engine = create_engine(f"sqlite:///{tmp_path}/created.db")
    schema.metadata.create_all(engine)
    engine.dispose()
    assert _definitions(tmp_path / "migrated.db") == _definitions(tmp_path / "created.db")


@pytest.fixture
def next_version(tmp_path, monkeypatch):
    """Pretend to be a version with one more migration; call it with a last line for that migration."""

    def pretend(then: str = "") -> None:
        folder = tmp_path / "migrations"
        shutil.copytree(opening.MIGRATIONS, folder)
        (folder / "versions" / "0005_next.py").write_text(_NEXT.format(then=then))
        monkeypatch.setattr(opening, "MIGRATIONS", folder)
        monkeypatch.setattr(schema, "REVISION", "0005")

    return pretend


def test_an_older_record_is_upgraded_when_asked(tmp_path, records, next_version, monkeypatch):
    url = f"sqlite:///{tmp_path}/record.db"
    with open_store(url) as store:
        id = records.found(store, records.candidate(1))
    assert upgrade(url) == "0004"  # nothing to do
    next_version()
    with pytest.raises(StoreError, match=r"has schema 0004, and .* works on 0005: .*`ruleforge db upgrade --db sql"):
        open_store(url)
    assert upgrade(url) == "0005"
    with open_store(url) as store:
        assert len(store.archive(id)) == 1
    monkeypatch.undo()
    with pytest.raises(StoreError, match="has schema 0005, which is newer than this version of ruleforge"):
        open_store(url)


_WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_STATES = ("succeeded", "running", "queued")
# What schema 0001 could hold, by table, in the order of insertion.
_FIRST_RECORD: dict[str, list[dict[str, Any]]] = {
    "jobs": [
        {
            **{"number": number, "id": f"{number:012x}", "task": "reward", "kind": "evolution", "state": state},
            **{"spec_hash": "ab", "generation": 1, "evaluations": 1, "best": 1.5, "seconds": 2.5, "history": "cd"},
            **{"created": _WHEN, "updated": _WHEN, "tags": ["x"], "versions": {"cpu": "a"}, "spec": {"seed": number}},
            **{"search_state": {"population": [0.1, -0.0]}, "result": {"x": 1} if state == "succeeded" else None},
        }
        for number, state in enumerate(_STATES, start=1)
    ],
    "rules": [
        {
            **{"number": number, "id": f"{number:032x}", "task": "reward", "behaviour": f"b{number}"},
            **{"complexity": number, "text": f"R*{number}", "tokens": [["*", "R", float(number)]]},
        }
        for number in (1, 2)
    ],
    "candidates": [
        {
            **{"number": number, "job": 2, "generation": 0, "position": number, "rule": number},
            **{"fitness": None if number == 2 else 1.5, "outcome": "non_finite" if number == 2 else "ok"},
            **dict.fromkeys(("validation_aggregate", "validation_mean"), 1.25 if number == 1 else None),
            **{"validation_standard_error": None, "validation_n": 40 if number == 1 else None},
        }
        for number in (1, 2)
    ],
    "behaviours": [
        {"task": "reward", "behaviour": "b1", "simplest": 1, "best": 1, "best_validation": 1.25, "best_fitness": 1.5},
        {"task": "reward", "behaviour": "b2", "simplest": 2, "best": 2, "best_validation": None, "best_fitness": None},
    ],
    "contexts": [{"number": 1, "digest": "context"}],
    "instances": [{"number": 1, "key": "sampled/training/1/0"}],
    "scores": [{"context": 1, "rule": 1, "instance": 1, "fitness": 1.5, "outcome": "ok", "metrics": {"spikes": 2}}],
    "generations": [
        {
            **{"job": 2, "number": 0, "evaluations": 1, "best": 1.5, "median": None, "n_distinct": 2},
            **{"seconds": 2.5, "front": ["1"]},
        }
    ],
    "events": [{"id": 1, "job": 2, "time": _WHEN, "kind": "state", "payload": {"state": "running"}}],
}


@pytest.mark.parametrize("revision", ["0001", "0002", "0003"])
def test_a_record_of_an_older_schema_is_upgraded_with_all_it_holds(own_url, make_record, records, revision):
    url = own_url
    make_record(url, "0001", _FIRST_RECORD, revision)
    with pytest.raises(StoreError, match=rf"has schema {revision}, .*run `ruleforge db upgrade --db "):
        open_store(url)
    assert upgrade(url) == schema.REVISION
    with open_store(url) as store:
        assert [(job.state, job.created) for job in store.jobs()] == [(state, _WHEN) for state in reversed(_STATES)]
        interrupted = store.job(f"{2:012x}")
        assert interrupted.search_state == {"population": [0.1, -0.0]}
        assert [candidate.rule.text for candidate in store.archive(interrupted.id)] == ["R*1", "R*2"]
        first, second = store.rules()
        assert [entry.rule.text for entry in (first, second)] == ["R*1", "R*2"]
        assert (first.fitness, first.outcome, first.found, first.jobs) == (1.5, "ok", 1, [interrupted.id])
        assert first.validation == {"aggregate": 1.25, "mean": 1.25, "standard_error": None, "n": 40}
        assert (second.fitness, second.outcome, second.validation) == (-math.inf, "non_finite", None)
        assert [entry.rule.text for entry in store.browse(RuleQuery(text="r *2", sort="newest")).items] == ["R*2"]
        assert [entry.rule.text for entry in store.browse(RuleQuery(sort="newest")).items] == ["R*2", "R*1"]
        assert store.statistics().judged == {"ok": 1, "non_finite": 1}
        assert [job.result for job in map(store.job, (f"{1:012x}", f"{3:012x}"))] == [{"x": 1}, None]
        assert (interrupted.revision, interrupted.test_openings, interrupted.started_from) == (1, 0, None)
        assert len(store.cached_scores("context", [f"{1:032x}"], ["sampled/training/1/0"])) == 1
        # Jobs that had not ended wait for somebody to run them, and go on where they stood.
        assert [(item.id, item.orphaned) for item in store.waiting()] == [(f"{2:012x}", True), (f"{3:012x}", False)]
        lease = store.take(interrupted.id, "resumed")
        store.commit_generation(interrupted.id, records.generation(1, [records.candidate(9)]), lease)
        assert store.job(interrupted.id).generation == 2
        assert store.events(interrupted.id)[0]["payload"] == {"state": "running"}


def test_an_upgrade_that_fails_changes_nothing(tmp_path, next_version):
    url = f"sqlite:///{tmp_path}/record.db"
    open_store(url).close()
    before = _definitions(tmp_path / "record.db")
    next_version("raise RuntimeError('half-way')")
    with pytest.raises(RuntimeError, match="half-way"):
        upgrade(url)
    assert _definitions(tmp_path / "record.db") == before


def test_upgrade_refuses_what_is_not_there(tmp_path):
    with pytest.raises(StoreError, match="there is no record at"):
        upgrade(f"sqlite:///{tmp_path}/record.db")
    assert list(tmp_path.iterdir()) == []
