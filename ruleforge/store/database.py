"""One database: its address, its connections, its transactions, and its faults as sentences."""

from __future__ import annotations

import functools
import json
import math
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, QueuePool, Table, create_engine, event, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from ruleforge.errors import InputError, StoreError
from ruleforge.passwords import hide_passwords
from ruleforge.store.faults import sentence
from ruleforge.store.file import RecordFile

EXAMPLE = "sqlite:///ruleforge.db"
DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgresql": "postgresql",
    "postgresql+psycopg": "postgresql",
}
BUSY_TIMEOUT = 5.0  # seconds
CONNECT_TIMEOUT = 10  # seconds, to reach a PostgreSQL server
# Which of PostgreSQL's advisory locks a transaction takes that writes rules and scores: ours ("rule"), and its number.
WRITER_LOCK = (0x72756C65, 1)
# Bound variables in one statement: SQLite takes 32766, PostgreSQL 65535; short statements are also parsed faster.
CHUNK = 500

Item = TypeVar("Item")


@dataclass(frozen=True)
class Address:
    """Where the record is. name: the URL without its password; path: of a SQLite file, else None."""

    url: URL
    name: str
    backend: str
    path: Path | None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read a database URL. Raises StoreError for what is none, and for databases that are not supported.

        The path of a SQLite URL is what stands there, letter for letter: nothing is decoded and nothing left out.
        """
        try:
            text.encode()
            os.fsencode(text)
        except UnicodeEncodeError:
            raise StoreError(
                f"{text!r}: expected a database URL in UTF-8, and other bytes came: rename the file or its folder"
            ) from None
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):  # the latter of a port that is no number
            shown = hide_passwords(text)
            raise StoreError(f"expected a database URL such as {EXAMPLE}, and {shown!r} came{_hint(text)}") from None
        name = hide_passwords(url.render_as_string(hide_password=True))
        backend = DRIVERS.get(url.drivername)
        if backend is None:
            raise StoreError(
                f"no record can be kept in {url.drivername!r}: expected a URL such as {EXAMPLE} or postgresql://…"
            )
        if backend == "postgresql":
            return cls(url.set(drivername="postgresql+psycopg"), name, backend, None)
        given = text.removeprefix(f"{url.drivername}://")
        if given in ("", "/", "/:memory:"):
            return cls(url, text, backend, None)
        if "?" in given or not given.startswith("/") or given.startswith("/file:"):
            raise StoreError(
                f"{name if url.password else text}: expected sqlite:///PATH (relative) or sqlite:////PATH (absolute) "
                "and nothing else: a SQLite URL has no host and no options, and no question mark in its path"
            )
        if "\0" in given:
            raise StoreError(f"{text!r}: a path cannot contain the character NUL")
        # Absolute, because connections are made later too, when the working directory may be another one; and without
        # links, because SQLite puts its log beside the file itself.
        path = Path(os.path.realpath(given[1:]))
        return cls(url.set(database=str(path), query={}), text, backend, path)


def _hint(text: str) -> str:
    looks_like_path = "://" not in text and text.endswith((".db", ".sqlite", ".sqlite3"))
    return f": write sqlite:///{text}" if looks_like_path else ""


class Database:
    """Connections to one database, shared by the threads of one process.

    Every method of the store is one transaction: `reading` sees one state of the record from its begin to its end,
    `writing` is applied as a whole or not at all.
    """

    def __init__(self, address: Address, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self.address = address
        self._closed = False
        self._file = RecordFile(address.path, address.name) if address.path is not None else None
        self._engine = _engine(address, busy_timeout, self._file)
        # Writers of other processes look again and again for a free SQLite file, and the unlucky one waits long. The
        # threads of this process queue up instead.
        self._writers = threading.Lock() if address.backend == "sqlite" else nullcontext()
        # SQLite takes the lock for writing at the begin: a transaction that read first could not wait for it later.
        # PostgreSQL shows each statement what was committed before it, which after waiting for a row or for our own
        # lock is what the other left.
        self._writing_engine = self._engine.execution_options(
            begin="BEGIN IMMEDIATE", **_isolation(address, "READ COMMITTED")
        )
        self._reading_engine = self._engine.execution_options(**_isolation(address, "REPEATABLE READ"))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises StoreError with the remedy when the database fails."""
        with self._transaction(self._reading_engine) as connection:
            yield connection

    @contextmanager
    def writing(self, *, one_at_a_time: bool = False) -> Iterator[Connection]:
        """A transaction that writes; any exception undoes it. Raises as `reading`, and InputError for bad records.

        one_at_a_time: for what writes to many rows that others write to too. SQLite has one writer at any time anyway;
        on PostgreSQL two of them could wait for each other's rows.
        """
        with self._writers, self._transaction(self._writing_engine) as connection:
            if one_at_a_time and self.address.backend == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(*WRITER_LOCK)))
            yield connection

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        if self._closed:
            raise StoreError(f"the record {self.address.name} was closed: open it again")
        if self._file is not None:
            self._file.check()
        try:
            with engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise sentence(error, self.address.name, self.address.backend) from error
        if self._file is not None and engine is not self._reading_engine:
            self._file.check()  # what was committed into a file that nobody finds again was not kept

    @contextmanager
    def without_transaction(self) -> Iterator[Connection]:
        """A SQLite connection that begins nothing, for what cannot be done inside a transaction."""
        with self._transaction(self._engine.execution_options(begin=None)) as connection:
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        self._engine.dispose()


def _engine(address: Address, busy_timeout: float, file: RecordFile | None) -> Engine:
    options: dict[str, Any] = {"json_serializer": _json_text, "json_deserializer": _json_value}
    if address.backend == "postgresql":
        # A process that was stopped inside a transaction must not hold up the others for ever.
        limits = {"lock_timeout": int(busy_timeout * 1000), "idle_in_transaction_session_timeout": 30_000}
        settings = " ".join(f"-c {name}={value}" for name, value in limits.items())
        options["connect_args"] = {"options": settings, "connect_timeout": CONNECT_TIMEOUT}
        options["pool_pre_ping"] = True  # a server that was restarted is not an error
        # Every job that runs here has a heartbeat beside its own transaction.
        options |= {"pool_size": 10, "max_overflow": 90}
    if address.backend == "sqlite":
        options["connect_args"] = {"timeout": busy_timeout, "check_same_thread": False}
        if address.path is None:
            # A database in memory is its connection: one, which the threads take in turn.
            options |= {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0}
    try:
        engine = create_engine(address.url, **options)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreError(
            f"{address.name}: the driver is not installed ({error}): pip install psycopg[binary]"
        ) from None
    if address.backend == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    if file is not None:
        event.listen(engine, "do_connect", file.connect)
    return engine


def _isolation(address: Address, level: str) -> dict[str, Any]:
    return {"isolation_level": level} if address.backend == "postgresql" else {}


def _json_text(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError) as error:
        raise InputError(f"this cannot be recorded as JSON, and nothing was written: {error}") from None


def _json_value(text: str) -> Any:
    """A recorded JSON value; None for a damaged one, which must not keep the rows beside it from being read."""
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # Python's sqlite3 is not to begin transactions of its own
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")


def _begin_sqlite(connection: Connection) -> None:
    statement = connection.get_execution_options().get("begin", "BEGIN")
    if statement is not None:
        connection.exec_driver_sql(statement)


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose key is not there yet."""
    if rows:
        connection.execute(_insert(connection.dialect.name, table).on_conflict_do_nothing(), list(rows))


def insert_over(connection: Connection, table: Table, row: Mapping[str, Any], column: str) -> None:
    """Insert a row, or where its key is there already set this column of it."""
    connection.execute(_upsert(connection.dialect.name, table, column, False), row)


def add_on_conflict(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], column: str) -> None:
    """Insert the rows, or where the key is there already add to this column of it."""
    if rows:
        connection.execute(_upsert(connection.dialect.name, table, column, True), list(rows))


@functools.lru_cache
def _upsert(dialect: str, table: Table, column: str, add: bool) -> Any:
    insert = _insert(dialect, table)
    value = insert.excluded[column]
    key = list(table.primary_key.columns)
    return insert.on_conflict_do_update(index_elements=key, set_={column: table.c[column] + value if add else value})


def _insert(dialect: str, table: Table) -> Any:
    # Both databases write ON CONFLICT alike, but SQLAlchemy has a statement of its own for each.
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def chunks(values: Sequence[Item], size: int = CHUNK) -> Iterator[Sequence[Item]]:
    """The values in pieces that fit into one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def finite(value: float | None) -> float | None:
    """A number for the database: None if it is not finite. −0 becomes 0, because SQLite keeps no sign of zero."""
    return float(value) + 0.0 if value is not None and math.isfinite(value) else None


def finite_json(value: Any) -> Any:
    """The same JSON value with None in place of every number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (dict, Mapping)):  # a dict is told in a tenth of the time
        return {key: finite_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite_json(item) for item in value]
    return value


def is_text(value: str) -> bool:
    """Whether both databases take this as a text: no NUL, and no half of a surrogate pair."""
    try:
        return "\0" not in value and bool(value.encode() or True)
    except UnicodeEncodeError:
        return False
