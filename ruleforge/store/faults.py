"""What a database says when it fails: whether it passes by itself, and a sentence with the remedy."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
    TimeoutError,
)

from ruleforge.errors import InputError, RecordAwayError, StoreError


class LockedError(RecordAwayError):
    """Another process holds the record for longer than the time to wait."""


READ_ONLY = "is read-only: make the file and its folder writable, or copy it to a place where they are"

# What SQLite calls its errors (or the beginning of it), and what they mean for the user; those that pass by themselves,
# and those that do not.
_SQLITE_AWAY = {
    "SQLITE_FULL": "cannot grow, the disk is full: make room, then try again",
    "SQLITE_IOERR": "cannot be read or written, the disk or the network drive fails: put it on a local disk",
    "SQLITE_NOMEM": "cannot be used, there is no memory left: end what needs it",
    "SQLITE_PROTOCOL": "is locked by another process: wait for it or stop it, then try again",
}
_SQLITE_FAULTS = {
    "SQLITE_NOTADB": "is not a SQLite database: name another file",
    "SQLITE_CORRUPT": "is damaged: restore a copy, or save what can be read with `sqlite3 FILE .recover`",
    "SQLITE_READONLY": READ_ONLY,
    "SQLITE_PERM": "may not be accessed: make the file and its folder writable, or name another one",
    "SQLITE_CANTOPEN": "cannot be opened: check that the file and its folder exist and may be written",
}

# What PostgreSQL calls its errors (SQLSTATE, or the beginning of it), and what they mean for the user.
_POSTGRESQL_AWAY = {
    "53100": "cannot grow, the server's disk is full: make room, then try again",
    "53300": "has no connection left: stop a runner, or raise max_connections of the server",
    "53": "cannot be used, its server has not what it needs: give it more memory or disk",
    "57P": "is out of reach, its server is being stopped or started: wait until it is back",
    "08": "is out of reach, the connection to its server is lost: check that the server runs",
    "40": "was changed by others at the same time: try again",
    "25P03": "ended a transaction that took too long: try again",
    "57014": "ended a question that took too long: try again",
    "58": "cannot be used, the disk of its server fails: look at the server's log",
}
_POSTGRESQL_FAULTS = {
    "3D000": "does not exist: create it with `createdb`, or name another one",
    "28": "refuses the login: check user and password",
    "42501": "may not be written by this user: ask its owner for the rights",
    "25006": "is read-only: name the primary server",
    "57P04": "was dropped: restore a copy, or name another one",
}


def sentence(error: SQLAlchemyError, name: str, backend: str) -> InputError:
    """An error of the database as one of ours; name: of the record; backend: "sqlite" or "postgresql"."""
    if isinstance(error, IntegrityError):
        return InputError(f"the record {name} refuses this, and nothing was written: {error.orig}")
    if isinstance(error, TimeoutError):  # of the pool
        return RecordAwayError(f"the record {name} has no free connection in this process: try again")
    if isinstance(error, DBAPIError):
        return _of_driver(error, name, backend)
    if isinstance(error, StatementError) and isinstance(error.orig, InputError):
        return error.orig  # of what cannot be written as JSON
    return StoreError(f"the record {name} cannot be used: {error}")


def _of_driver(error: DBAPIError, name: str, backend: str) -> StoreError:
    code = getattr(error.orig, "sqlite_errorname", None) or ""
    state = getattr(error.orig, "sqlstate", None) or ""
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LockedError(f"the record {name} is locked by another process: wait for it or stop it, then try again")
    if state == "55P03":
        return LockedError(f"the record {name} is locked by another connection: wait for it or stop it, then try again")
    if meaning := _meaning(_SQLITE_FAULTS, code) or _meaning(_POSTGRESQL_FAULTS, state):
        return StoreError(f"the record {name} {meaning}")
    if meaning := _meaning(_SQLITE_AWAY, code) or _meaning(_POSTGRESQL_AWAY, state):
        return RecordAwayError(f"the record {name} {meaning}")
    said = " ".join(str(error.orig).split())
    if backend == "sqlite":
        return StoreError(f"the record {name} cannot be used: {said}")
    # A server that cannot be reached, or breaks off, has no code for it.
    lost = error.connection_invalidated or (not state and isinstance(error, (OperationalError, InterfaceError)))
    kind = RecordAwayError if lost else StoreError
    return kind(f"the record {name} cannot be used: {said} (check that the server runs and that the URL is right)")


def _meaning(faults: Mapping[str, str], said: str) -> str | None:
    """The meaning of the first of the codes that this one begins with."""
    return next((meaning for code, meaning in faults.items() if said.startswith(code)), None)
