"""Figures of the whole record. The function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from ruleforge.store.database import add_on_conflict
from ruleforge.store.records import STATES, RecordStatistics
from ruleforge.store.schema import jobs, judged


def statistics(connection: Connection) -> RecordStatistics:
    """Jobs by kind and state, the queue, and what was judged: two counts in an index and a short table."""
    by_kind: dict[str, dict[str, int]] = {}
    counts = select(jobs.c.kind, jobs.c.state, func.count()).group_by(jobs.c.kind, jobs.c.state)
    for kind, state, count in connection.execute(counts):
        by_kind.setdefault(kind, dict.fromkeys(STATES, 0))[state] = count
    oldest = select(jobs.c.created).where(jobs.c.state == "queued").order_by(jobs.c.number).limit(1)
    return RecordStatistics(
        jobs=by_kind,
        queued=sum(states["queued"] for states in by_kind.values()),
        oldest_queued=connection.scalars(oldest).one_or_none(),
        judged={row.outcome: row.number for row in connection.execute(select(judged))},
    )


def count_judged(connection: Connection, outcomes: Mapping[str, int]) -> None:
    """Add to the number of candidates by outcome; one transaction at a time."""
    rows = [{"outcome": outcome, "number": number} for outcome, number in sorted(outcomes.items())]
    add_on_conflict(connection, judged, rows, "number")
