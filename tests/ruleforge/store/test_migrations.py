"""Migrations: from nothing to the newest schema is the schema; an older record is upgraded when asked."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from ruleforge.errors import StoreError
from ruleforge.store import open_store, opening, schema, upgrade

_NEXT = '''"""One more table."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table("added", sa.Column("id", sa.Integer(), primary_key=True))
    {then}
'''


def test_the_migrations_lead_to_the_schema(store):
    with store._database.reading() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.REVISION


def test_the_newest_migration_is_the_one_that_is_expected():
    assert opening.known_revisions()[0] == schema.REVISION


def _definitions(path: Path) -> dict[str, str]:
    """The SQL of every table and index, constraints in alphabetical order."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    lines = {name: [line.strip().strip(",").strip() for line in sql.splitlines()] for name, sql in rows}
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
        (folder / "versions" / "0002_next.py").write_text(_NEXT.format(then=then))
        monkeypatch.setattr(opening, "MIGRATIONS", folder)
        monkeypatch.setattr(schema, "REVISION", "0002")

    return pretend


def test_an_older_record_is_upgraded_when_asked(tmp_path, records, next_version, monkeypatch):
    url = f"sqlite:///{tmp_path}/record.db"
    with open_store(url) as store:
        id = records.found(store, records.candidate(1))
    assert upgrade(url) == "0001"  # nothing to do
    next_version()
    with pytest.raises(StoreError, match=r"has schema 0001, and .* works on 0002: .*`ruleforge db upgrade --db sql"):
        open_store(url)
    assert upgrade(url) == "0002"
    with open_store(url) as store:
        assert len(store.archive(id)) == 1
    monkeypatch.undo()
    with pytest.raises(StoreError, match="has schema 0002, which is newer than this version of ruleforge"):
        open_store(url)


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
