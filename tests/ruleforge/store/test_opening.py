"""Opening: what cannot be used is refused with a sentence and left as it was."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.exc import NoSuchModuleError

from ruleforge.errors import Fault, StoreError
from ruleforge.store import database, open_store, upgrade


def _url(path: Path) -> str:
    return f"sqlite:///{path}"


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def _run_sql(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A record that was made and closed."""
    open_store(_url(tmp_path / "record.db")).close()
    return tmp_path / "record.db"


def test_a_record_is_created_and_opened_again(tmp_path, records):
    url = _url(tmp_path / "record.db")
    with open_store(url) as store:
        id = store.create_job(records.job())
    for create in (True, False):
        with open_store(url, create=create) as store:
            assert store.job(id).id == id
    assert list(_files(tmp_path)) == ["record.db"]  # the write-ahead log is gone with the last connection


def test_an_empty_file_becomes_a_record(tmp_path):
    (tmp_path / "record.db").touch()
    with open_store(_url(tmp_path / "record.db")) as store:
        assert store.jobs() == []


def test_a_relative_path_means_the_folder_of_opening(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite:///record.db") as store:
        store._database._engine.dispose()
        monkeypatch.chdir("/")
        assert store.jobs() == []
    assert (tmp_path / "record.db").exists()


def test_the_database_is_set_up_as_it_should(path):
    with open_store(_url(path)) as store, store._database.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 5000}


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "record.db",
            "expected a database URL such as sqlite:///ruleforge.db, and 'record.db' came: write sqlite:///record.db",
        ),
        ("", "expected a database URL such as sqlite:///ruleforge.db, and '' came"),
        ("mysql://host/x", "no record can be kept in 'mysql': expected a URL such as"),
        ("nonsense://x", "no record can be kept in 'nonsense'"),
        ("sqlite+aiosqlite:///x.db", "no record can be kept in 'sqlite+aiosqlite'"),
        ("sqlite:///x.db?mode=ro", "a SQLite URL has no host and no options"),
        ("sqlite:///file:x.db", "a SQLite URL has no host and no options"),
        ("sqlite://host/x.db", "a SQLite URL has no host and no options"),
        ("sqlite:////proc/nothing.db", "cannot be created in '/proc'"),
        ("sqlite:////no/such/folder/x.db", "there is no folder '/no/such/folder': create it"),
        ("sqlite:////tmp", "names a folder or a device: name a file"),
        ("sqlite:////dev/null", "names a folder or a device: name a file"),
        ("sqlite:///" + "long" * 100, "cannot be created in"),
        ("sqlite:///a\0b", "a path cannot contain the character NUL"),
    ],
)
def test_a_url_that_leads_nowhere(url, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=re.escape(sentence)):
        open_store(url)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_driver_is_named_and_the_password_is_not(monkeypatch):
    def create_engine(*_, **__):
        raise NoSuchModuleError("no psycopg here")

    monkeypatch.setattr(database, "create_engine", create_engine)
    with pytest.raises(
        StoreError, match=r"postgresql://me:\*\*\*@host/x: the driver is not installed .*pip install psycopg"
    ):
        open_store("postgresql://me:secret@host/x")


def test_nothing_is_created_unless_asked(tmp_path):
    with pytest.raises(StoreError, match=r"there is no record at .*: check the name"):
        open_store(_url(tmp_path / "record.db"), create=False)
    assert _files(tmp_path) == {}
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreError, match="holds no record yet"):
        open_store(_url(tmp_path / "empty.db"), create=False)
    with pytest.raises(StoreError, match="holds no record yet"):
        upgrade(_url(tmp_path / "empty.db"))
    assert _files(tmp_path) == {"empty.db": b""}


@pytest.mark.parametrize("junk", [b"hello\n", bytes(range(256)) * 20, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database(tmp_path, junk):
    (tmp_path / "junk.db").write_bytes(junk)
    with pytest.raises(StoreError, match=r"junk\.db is (not a SQLite database: name another file|damaged)"):
        open_store(_url(tmp_path / "junk.db"))
    assert _files(tmp_path) == {"junk.db": junk}


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE people (name TEXT)"],
        ["CREATE TABLE people (name TEXT)", "CREATE TABLE alembic_version (version_num TEXT)"],
        ["CREATE TABLE alembic_version (version_num TEXT)", "INSERT INTO alembic_version VALUES ('v4.0')"],
        ["CREATE TABLE jobs (id TEXT)", "CREATE TABLE rules (id TEXT)"],
    ],
)
def test_another_programs_database(tmp_path, statements):
    _run_sql(tmp_path / "other.db", *statements)
    before = _files(tmp_path)
    for refused in (open_store, upgrade):
        with pytest.raises(StoreError, match=r"is another program's database .*: name another one"):
            refused(_url(tmp_path / "other.db"))
    assert _files(tmp_path) == before


def test_a_record_of_a_newer_version(path):
    _run_sql(path, "UPDATE alembic_version SET version_num = '9999'")
    for refused in (open_store, upgrade):
        with pytest.raises(StoreError, match=r"has schema 9999, which is newer than .* install the newest ruleforge"):
            refused(_url(path))
    assert list(_files(path.parent)) == ["record.db"]


_HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@contextmanager
def _locked_by_another_process(path: Path) -> Iterator[None]:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        yield
        holder.communicate()


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_record_that_another_process_holds(path, records, journal):
    _run_sql(path, f"PRAGMA journal_mode = {journal}")
    sentence = r"record\.db is locked by another process: wait for it or stop it"
    with _locked_by_another_process(path):
        if journal == "wal":  # whoever writes does not hold up those who open and read
            with open_store(_url(path), busy_timeout=0.1) as store, pytest.raises(StoreError, match=sentence) as error:
                store.create_job(records.job())
        else:
            with pytest.raises(StoreError, match=sentence) as error:
                open_store(_url(path), busy_timeout=0.1)
        assert error.value.fault is Fault.transient
    with open_store(_url(path), busy_timeout=0.1) as store:
        id = store.create_job(records.job())
        with _locked_by_another_process(path):
            with pytest.raises(StoreError, match=sentence):
                store.create_job(records.job())
            assert [job.id for job in store.jobs()] == [id]  # reading goes on
        store.create_job(records.job())
        assert len(store.jobs()) == 2


def test_a_new_record_that_another_process_holds_is_left_to_it(tmp_path):
    (tmp_path / "record.db").touch()
    with _locked_by_another_process(tmp_path / "record.db"), pytest.raises(StoreError, match="is locked"):
        open_store(_url(tmp_path / "record.db"), busy_timeout=0.1)
    assert (tmp_path / "record.db").exists()


@contextmanager
def _unwritable(path: Path) -> Iterator[None]:
    """Make a file or folder unwritable for whoever runs the tests: root is stopped by the immutable attribute only."""
    mode = path.stat().st_mode
    path.chmod(mode & ~0o222)
    changed = shutil.which("chattr") is not None and os.geteuid() == 0
    changed = changed and subprocess.run(["chattr", "+i", path], check=False, capture_output=True).returncode == 0
    try:
        if os.access(path, os.W_OK):
            pytest.skip("nothing stops this user (root, on a file system without the immutable attribute) from writing")
        yield
    finally:
        if changed:
            subprocess.run(["chattr", "-i", path], check=True)
        path.chmod(mode)


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_read_only_file(path, journal):
    _run_sql(path, f"PRAGMA journal_mode = {journal}")
    before = path.read_bytes()
    with (
        _unwritable(path),
        pytest.raises(StoreError, match=r"record\.db is read-only: make the file and its folder writable"),
    ):
        open_store(_url(path))
    assert _files(path.parent) == {"record.db": before}


def test_a_record_in_a_read_only_folder(path):
    before = path.read_bytes()
    with _unwritable(path.parent):
        with pytest.raises(StoreError, match=r"record\.db is read-only: make the file and its folder writable"):
            open_store(_url(path))
        with pytest.raises(StoreError, match=r"cannot be created in .*: make the folder writable"):
            open_store(_url(path.parent / "new.db"))
    assert _files(path.parent) == {"record.db": before}


def test_a_creation_that_fails_leaves_no_file(tmp_path, monkeypatch):
    from ruleforge.store import opening

    def fails(connection):
        connection.exec_driver_sql("CREATE TABLE jobs (id TEXT)")
        raise StoreError("the disk is full")

    monkeypatch.setattr(opening, "_migrate", fails)
    with pytest.raises(StoreError, match="the disk is full"):
        open_store(_url(tmp_path / "record.db"))
    assert _files(tmp_path) == {}
    (tmp_path / "mine.db").touch()
    with pytest.raises(StoreError, match="the disk is full"):
        open_store(_url(tmp_path / "mine.db"))
    assert _files(tmp_path) == {"mine.db": b""}


_OPENS = "import sys; from ruleforge.store import open_store; sys.stdin.read(1); open_store(sys.argv[1]).close()"


def test_processes_that_create_one_record_together(tmp_path):
    command = [sys.executable, "-c", _OPENS, _url(tmp_path / "record.db")]
    openers = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for opener in openers:  # they wait for a line, so that they open at about the same time
        opener.stdin.write("\n")
        opener.stdin.flush()
    errors = [opener.communicate()[1] for opener in openers]
    assert errors == [""] * 3
    with open_store(_url(tmp_path / "record.db")) as store:
        assert store.jobs() == []
