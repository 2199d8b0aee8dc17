"""What is particular to a record on a PostgreSQL server: how it is reached, made, refused and shared."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import text

from ruleforge.errors import StoreError
from ruleforge.store import open_store, schema, upgrade
from ruleforge.store.database import Address, Database


def test_a_record_is_created_and_opened_again(new_database, records):
    url = new_database()
    with pytest.raises(StoreError, match="holds no record yet"):
        open_store(url, create=False)
    with pytest.raises(StoreError, match="holds no record yet"):
        upgrade(url)
    with open_store(url) as store:
        id = store.create_job(records.job())
    for name in (url, url.replace("postgresql://", "postgresql+psycopg://")):
        with open_store(name, create=False) as store:
            assert store.job(id).id == id
    assert upgrade(url) == schema.REVISION


_OPENS = "import sys; from ruleforge.store import open_store; sys.stdin.read(1); open_store(sys.argv[1]).close()"


def test_processes_that_create_one_record_together(new_database):
    url = new_database()
    command = [sys.executable, "-c", _OPENS, url]
    openers = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for opener in openers:  # they wait for a line, so that they open at about the same time
        opener.stdin.write("\n")
        opener.stdin.flush()
    assert [opener.communicate()[1] for opener in openers] == [""] * 3
    with open_store(url, create=False) as store:
        assert store.jobs() == []


def test_another_programs_database(new_database, postgresql_server):
    url = new_database()
    postgresql_server.sql("CREATE TABLE people (name TEXT)", url.rpartition("/")[2])
    with pytest.raises(StoreError, match=r"is another program's database .*'people'"):
        open_store(url)


def test_a_record_of_a_newer_version(new_database, postgresql_server):
    url = new_database()
    open_store(url).close()
    postgresql_server.sql("UPDATE alembic_version SET version_num = '9999'", url.rpartition("/")[2])
    for refused in (open_store, upgrade):
        with pytest.raises(StoreError, match="has schema 9999, which is newer than"):
            refused(url)


def test_what_leads_nowhere_is_a_sentence_without_the_password(postgresql_server):
    url = postgresql_server.url("nothing-here").replace("postgres@", "postgres:secret@")
    with pytest.raises(StoreError, match=r"database \"nothing-here\" does not exist|does not exist: create it") as e:
        open_store(url)
    assert "secret" not in str(e.value)
    with pytest.raises(StoreError, match=r"cannot be used: .*\(check that the server runs and that the URL is right\)"):
        open_store("postgresql://me:secret@127.0.0.1:1/x")


def test_a_record_that_another_session_holds(postgresql_record, records):
    with open_store(postgresql_record) as one, open_store(postgresql_record, busy_timeout=0.2) as other:
        id = records.running(one)
        with one._database.writing(one_at_a_time=True):
            with pytest.raises(StoreError, match="is locked by another connection: wait for it"):
                other.commit_generation(id, records.generation())
            assert other.job(id).generation == 0  # reading goes on
        other.commit_generation(id, records.generation())


def test_a_server_that_was_restarted_is_no_error(postgresql_record, postgresql_server, records):
    with open_store(postgresql_record) as store:
        id = store.create_job(records.job())
        name = postgresql_record.rpartition("/")[2]
        postgresql_server.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        assert store.job(id).state == "queued"


def test_reading_sees_one_state_of_the_record(postgresql_record, records):
    with open_store(postgresql_record) as store, open_store(postgresql_record) as other:
        with store._database.reading() as connection:
            assert connection.scalar(text("SELECT count(*) FROM jobs")) == 0
            other.create_job(records.job())
            assert connection.scalar(text("SELECT count(*) FROM jobs")) == 0
        assert len(store.jobs()) == 1


def test_many_that_write_the_same_rules_do_not_wait_for_each_other_for_ever(postgresql_record, records):
    """Jobs find the same behaviours in other orders and other texts; each commit updates rows of the others."""
    stores = [open_store(postgresql_record) for _ in range(4)]
    barrier = threading.Barrier(4)

    def work(index: int) -> str:
        store = stores[index]
        id = records.running(store)
        barrier.wait()
        for generation in range(6):
            numbers = range(generation, generation + 30)
            found = [
                records.candidate(
                    replace(records.rule(n + 1000 * index), behaviour=f"{n:032x}", complexity=9 - index), float(index)
                )
                for n in (numbers if index % 2 else reversed(numbers))
            ]
            found = [replace(candidate, order=order) for order, candidate in enumerate(found)]
            store.commit_generation(id, records.generation(generation, found))
        return id

    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(work, range(4)))
    assert [stores[0].job(id).generation for id in ids] == [6] * 4
    assert {entry.found for entry in stores[0].rules(top=100)} == {4}
    assert {entry.rule.complexity for entry in stores[0].rules(top=100)} == {6}
    for store in stores:
        store.close()


def test_the_address_keeps_user_and_options():
    address = Address.parse("postgresql://me:secret@/x?host=/run/postgresql")
    assert (address.backend, address.path) == ("postgresql", None)
    assert address.url.drivername == "postgresql+psycopg"
    assert address.url.password == "secret"
    assert "secret" not in address.name
    assert Database(address).address is address
