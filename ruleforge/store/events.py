"""Events: what happened to a job, in order. Every function works inside the caller's transaction.

Whoever adds an event holds the job's row, so that the ids of a job's events grow in the order of the commits: a reader
that has seen an id never finds a smaller one later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from ruleforge.store.cursors import GREATEST, checked_limit
from ruleforge.store.schema import events


def add_events(
    connection: Connection, job: int, time: datetime, items: Sequence[tuple[str, Mapping[str, Any]]]
) -> None:
    """Add (kind, payload) in order; the job's row must be locked by this transaction."""
    for kind, payload in items:  # one by one, because their ids are to be in this order
        connection.execute(insert(events), {"job": job, "time": time, "kind": kind, "payload": payload})


def add_first_events(
    connection: Connection, new: Sequence[int], time: datetime, kind: str, payload: Mapping[str, Any]
) -> None:
    """Add the same event to each of these jobs, which this transaction has made: the first that each of them has."""
    if new:
        rows = [{"job": job, "time": time, "kind": kind, "payload": payload} for job in new]
        connection.execute(insert(events), rows)


def list_events(connection: Connection, job: int, after: int, limit: int | None) -> list[dict[str, Any]]:
    """The events of a job with an id above `after`, in order: id, time, kind, payload."""
    query = (
        select(events.c.id, events.c.time, events.c.kind, events.c.payload)
        .where(events.c.job == job, events.c.id > max(-1, min(after, GREATEST)))
        .order_by(events.c.id)
        .limit(None if limit is None else checked_limit(limit))
    )
    found = [dict(row) for row in connection.execute(query).mappings()]
    # A payload that is damaged is empty, and the events after it are told all the same.
    return [row if isinstance(row["payload"], dict) else {**row, "payload": {}} for row in found]


def newest_event(connection: Connection, job: int) -> int:
    """The id of the newest event of a job, 0 if there is none."""
    newest: int | None = connection.scalars(select(func.max(events.c.id)).where(events.c.job == job)).one()
    return newest or 0
