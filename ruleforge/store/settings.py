"""Contexts of jobs as the record keeps them, in `settings`. Every function works inside the caller's transaction."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from ruleforge.context import Context
from ruleforge.errors import InputError, unknown_name
from ruleforge.store.bulk import insert_rows, json_text, lasting_numbers
from ruleforge.store.database import chunks
from ruleforge.store.schema import settings

_DIGEST = re.compile(r"[0-9a-f]{4,16}")


def settings_number(connection: Connection, context: Context) -> int:
    """The number of a context, which is recorded if it is new, and completed if only its digest was known."""
    if context.parameters is not None:  # an upgrade knows no more of what deleted jobs left
        unknown = (settings.c.digest == context.digest) & settings.c.parameters.is_(None)
        known = {"version": context.version, "parameters": dict(context.parameters)}
        connection.execute(update(settings).where(unknown).values(known))
    numbers = lasting_numbers(connection, settings.c.digest, [context.digest])
    if not numbers:
        parameters = None if context.parameters is None else json_text(dict(context.parameters))
        columns = ("digest", "task", "version", "parameters")
        row = (context.digest, context.task, context.version, parameters)
        insert_rows(connection, settings, columns, [row], new=True)
        # Read again and not remembered: this transaction may still be undone.
        query = select(settings.c.number).where(settings.c.digest == context.digest)
        number: int = connection.scalars(query).one()
        return number
    return numbers[context.digest]


def contexts_of(connection: Connection, digests: Iterable[str] | None = None) -> dict[str, Context]:
    """The recorded contexts by digest, all of them or those of `digests`: by task, then the first recorded first."""
    query = select(settings)
    if digests is not None:
        rows = [row for chunk in chunks(sorted(set(digests))) for row in _rows(connection, chunk)]
    else:
        rows = list(connection.execute(query))
    return {row.digest: context(row) for row in sorted(rows, key=lambda row: (row.task, row.number))}


def _rows(connection: Connection, digests: Sequence[str]) -> list[Any]:
    return list(connection.execute(select(settings).where(settings.c.digest.in_(digests))))


def context(row: Any) -> Context:
    """A row of `settings` as a context."""
    return Context(row.digest, row.task, row.version, row.parameters)


def chosen_settings(connection: Connection, task: str | None, parameters: str | None) -> list[tuple[int, Context]]:
    """The contexts of a task and of these parameters, with their numbers: by task, then the first recorded first.

    parameters: a context or its beginning, at least four digits, or NAME=VALUE, several with commas between them.
    Raises InputError for anything else, and for a parameter that no context has.
    """
    query = select(settings) if task is None else select(settings).where(settings.c.task == task)
    rows = sorted(connection.execute(query), key=lambda row: (row.task, row.number))
    found = [(int(row.number), context(row)) for row in rows]
    if parameters is None:
        return found
    wanted = parameters.strip()
    if _DIGEST.fullmatch(wanted):
        return [item for item in found if item[1].digest.startswith(wanted)]
    values = _values(wanted)
    names = sorted({name for _, each in found for name in each.parameters or ()})
    if unknown := [name for name in values if name not in names and names]:
        raise InputError(unknown_name("parameter", unknown[0], names), pointer="/parameters")
    return [item for item in found if _has(item[1], values)]


def _values(text: str) -> dict[str, Any]:
    """NAME=VALUE,NAME=VALUE; a VALUE is read as TOML, and what is not TOML is a text."""
    values: dict[str, Any] = {}
    for part in re.split(r",(?=\s*[A-Za-z_]\w*\s*=)", text):
        name, separator, value = part.partition("=")
        if not separator or not re.fullmatch(r"[A-Za-z_]\w*", name.strip()):
            shown = text if len(text) <= 40 else text[:40] + "…"
            raise InputError(
                "expected a context, 4 to 16 hexadecimal digits, or NAME=VALUE with commas between several, "
                f"and {shown!r} came",
                pointer="/parameters",
            )
        try:
            values[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except (ValueError, KeyError, RecursionError):
            values[name.strip()] = value.strip()
    return values


def _has(which: Context, values: dict[str, Any]) -> bool:
    held = which.parameters or {}
    # 1 is no `true`, though Python takes them for equal.
    return all(
        name in held and held[name] == value and isinstance(held[name], bool) == isinstance(value, bool)
        for name, value in values.items()
    )
