"""Each error is transient, permanent or foreign, and what a database says is told apart in one place."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError, TimeoutError

from ruleforge import errors
from ruleforge.errors import Fault, RuleforgeError, fault_of
from ruleforge.store import JobHeldError, LeaseLostError
from ruleforge.store.faults import sentence

T, P, F = Fault.transient, Fault.permanent, Fault.foreign


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("SQLITE_BUSY", T),
        ("SQLITE_BUSY_SNAPSHOT", T),
        ("SQLITE_LOCKED_SHAREDCACHE", T),
        ("SQLITE_FULL", T),
        ("SQLITE_IOERR_WRITE", T),
        ("SQLITE_PROTOCOL", T),
        ("SQLITE_NOMEM", T),
        ("SQLITE_CORRUPT_VTAB", P),
        ("SQLITE_NOTADB", P),
        ("SQLITE_READONLY_DBMOVED", P),
        ("SQLITE_CANTOPEN", P),
        ("SQLITE_PERM", P),
        ("SQLITE_ERROR", P),
    ],
)
def test_what_sqlite_says(code, fault):
    original = sqlite3.OperationalError("said")
    original.sqlite_errorname = code
    assert sentence(OperationalError("select", {}, original), "sqlite:///r.db", "sqlite").fault is fault


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("55P03", T),  # a lock
        ("40001", T),  # serialization
        ("40P01", T),  # deadlock
        ("57P01", T),  # shut down by its administrator
        ("57P02", T),  # crash
        ("57P03", T),  # starting up
        ("08006", T),  # the connection is lost
        ("53300", T),  # too many connections
        ("53100", T),  # disk full
        ("25P03", T),  # idle for too long
        (None, T),  # no connection at all
        ("57P04", P),  # dropped
        ("28P01", P),  # wrong password
        ("3D000", P),  # no such database
        ("42501", P),  # no rights
        ("25006", P),  # read-only
        ("42P01", P),  # no such table
    ],
)
def test_what_postgresql_says(state, fault):
    original = psycopg.OperationalError("said")
    original.sqlstate = state
    found = sentence(OperationalError("select", {}, original), "postgresql://h/r", "postgresql")
    assert found.fault is fault
    assert str(found).startswith("the record postgresql://h/r ")


def test_a_connection_that_broke_and_a_pool_that_is_empty_pass():
    broken = DBAPIError("select", {}, psycopg.errors.InternalError("said"), connection_invalidated=True)
    assert sentence(broken, "r", "postgresql").fault is T
    assert sentence(TimeoutError("QueuePool limit"), "r", "postgresql").fault is T


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (errors.InputError("no"), P),
        (errors.EvaluationError("no"), P),
        (errors.EvaluatorLostError("gone"), T),
        (errors.RecordAwayError("locked"), T),
        (errors.RecordReplacedError("deleted"), P),
        (errors.JobStopped("asked"), F),
        (JobHeldError("held", stopping=False), F),
        (LeaseLostError("taken"), F),
        (KeyboardInterrupt(), F),
        (BrokenPipeError(), F),
        (ZeroDivisionError(), P),
        (MemoryError(), P),
    ],
)
def test_errors(error, fault):
    assert fault_of(error) is fault
    if isinstance(error, RuleforgeError):
        assert error.fault is fault
