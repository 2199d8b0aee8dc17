"""Many rows, and many identities, in one statement each. Every function works inside the caller's transaction.

SQLAlchemy prepares every value of every row; of the hundreds of rows of a generation that takes longer than to write
them. So these go to the driver as they are: what the columns need (JSON as text) is the caller's to see to.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table, bindparam, select
from sqlalchemy.dialects import postgresql

from ruleforge.errors import InputError
from ruleforge.store.database import chunks

# Of contexts, and of instances, that one connection remembers.
REMEMBERED = 20_000

_encoder = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def json_text(value: Any) -> str:
    """A value as JSON. Raises InputError for what has no JSON."""
    try:
        return _encoder.encode(value)
    except (ValueError, TypeError) as error:
        raise InputError(f"this cannot be recorded as JSON, and nothing was written: {error}") from None


def insert_rows(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    *,
    new: bool = False,
) -> None:
    """Insert rows, each a tuple in the order of the columns. new: leave out those whose key is there already."""
    if not rows:
        return
    statement = _insertion(connection.dialect.name, table, columns, new)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(statement, list(rows))
    else:
        connection.exec_driver_sql(statement, tuple(map(list, zip(*rows, strict=True))))


@functools.lru_cache
def _insertion(dialect: str, table: Table, columns: tuple[str, ...], new: bool) -> str:
    into = f"INSERT INTO {table.name} ({', '.join(columns)}) "
    ending = " ON CONFLICT DO NOTHING" if new else ""
    if dialect == "sqlite":
        return f"{into}VALUES ({', '.join('?' for _ in columns)}){ending}"
    # One array per column: PostgreSQL's driver takes longer than the server for a message per row.
    of = postgresql.dialect()  # type: ignore[no-untyped-call]
    types = (table.c[name].type.compile(of) for name in columns)
    return f"{into}SELECT * FROM unnest({', '.join(f'%s::{type}[]' for type in types)}){ending}"


def insert_numbered(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    identity: tuple[str, ...],
) -> dict[tuple[Any, ...], int]:
    """Insert rows into a table that numbers them, one transaction at a time: the number of each by its identity."""
    if not rows:
        return {}
    last, added = _numbering(table, identity)
    before = connection.exec_driver_sql(last).scalar_one() or 0
    insert_rows(connection, table, columns, rows)
    return {tuple(row[1:]): row[0] for row in connection.execute(added, {"before": before})}


@functools.lru_cache
def _numbering(table: Table, identity: tuple[str, ...]) -> tuple[str, Any]:
    added = select(table.c.number, *(table.c[name] for name in identity))
    return f"SELECT max(number) FROM {table.name}", added.where(table.c.number > bindparam("before"))


def lasting_numbers(connection: Connection, identity: Column[str], values: Iterable[str]) -> dict[str, int]:
    """The key of each row by its identity, for rows that are never removed: a connection remembers what it has read."""
    wanted = set(values)
    memory = connection.info.setdefault(identity, {})
    missing = [value for value in wanted if value not in memory]
    if missing:
        if len(memory) > REMEMBERED:
            memory.clear()
            missing = list(wanted)
        memory.update(numbers(connection, identity, missing))
    return {value: memory[value] for value in wanted if value in memory}


def numbered(connection: Connection, identity: Column[str], values: Iterable[str]) -> dict[str, int]:
    """As `lasting_numbers`, after inserting the values that are not there yet."""
    wanted = sorted(set(values))
    found = lasting_numbers(connection, identity, wanted)
    missing = [value for value in wanted if value not in found]
    if missing:
        assert isinstance(identity.table, Table)
        insert_rows(connection, identity.table, (identity.name,), [(value,) for value in missing], new=True)
        # Not remembered: this transaction may still be undone, and its numbers given to others.
        found |= numbers(connection, identity, missing)
    return found


def numbers(connection: Connection, identity: Column[str], values: Iterable[str]) -> dict[str, int]:
    """The key of each row by its identity, for those of `values` that are there."""
    found: dict[str, int] = {}
    for chunk in chunks(sorted(set(values))):
        query = select(identity, identity.table.c.number).where(identity.in_(chunk))
        found.update({row[0]: row[1] for row in connection.execute(query)})
    return found
