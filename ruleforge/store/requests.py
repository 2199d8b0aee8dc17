"""Requests that a client may send again: what the first one made is found by its key.

Every function works inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update

from ruleforge.errors import InputError
from ruleforge.store.database import insert_new, is_text
from ruleforge.store.records import Created, RequestKey
from ruleforge.store.schema import requests

# What a request makes of a job that there is already.
EXTENSION = "extension"
# A key older than this is forgotten, and may be used anew.
REMEMBERED = timedelta(hours=24)


class KeyReusedError(InputError):
    """The key belongs to another request."""


def once(connection: Connection, request: RequestKey, kind: str, create: Callable[[], str]) -> Created:
    """What `create` makes, or made when the same request came first; kind: of what is made.

    Of two at the same time the second waits for the first: on PostgreSQL at the insertion of the key, on SQLite at the
    begin of its transaction. Raises KeyReusedError if the key came with another digest, or made another kind.
    """
    if not (is_text(request.key) and is_text(request.digest)):
        raise InputError("expected a key without NUL and unpaired surrogates: send another one")
    now = datetime.now(UTC)
    connection.execute(delete(requests).where(requests.c.created < now - REMEMBERED))
    row = {"key": request.key, "digest": request.digest, "kind": kind, "made": "", "created": now}
    insert_new(connection, requests, [row])
    mine = requests.c.key == request.key
    before = known(connection, request, kind)
    if before is not None:
        return Created(before, replayed=True)
    id = create()
    connection.execute(update(requests).where(mine).values(made=id))
    return Created(id, replayed=False)


def known(connection: Connection, request: RequestKey, kind: str) -> str | None:
    """What the same request made when it came before, None if it made nothing yet. Raises KeyReusedError as `once`."""
    if not is_text(request.key):
        return None
    row: Any = connection.execute(select(requests).where(requests.c.key == request.key)).one_or_none()
    if row is None or row.created < datetime.now(UTC) - REMEMBERED:
        return None
    if (row.digest, row.kind) != (request.digest, kind):
        raise KeyReusedError(
            f"the key {request.key!r} was used for another request in the last {REMEMBERED.total_seconds() / 3600:.0f} "
            "hours: send a new key with a new request"
        )
    return row.made or None


def forget(connection: Connection, made: str) -> None:
    """Forget the requests that made this, which is being deleted."""
    connection.execute(delete(requests).where(requests.c.made == made))
