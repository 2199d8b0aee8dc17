"""Leases: at any time one process runs a job. Every function works inside the caller's transaction.

A process takes a job, shows by heartbeats that it lives, and commits under its lease. Whoever takes the job after it
gets another lease, so that a process that was thought dead cannot commit any more.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from ruleforge.errors import Fault, StoreError
from ruleforge.store.holders import Holder, is_gone
from ruleforge.store.schema import jobs, leases, queue

# A lease without heartbeat for so long, in seconds, is over. With the pause between two looks for work, a job whose
# machine is lost goes on within ten.
LEASE_SECONDS = 8.0


class JobHeldError(StoreError):
    """Another process runs the job. stopping: it was told to stop and will let go of the job soon."""

    fault = Fault.foreign

    def __init__(self, message: str, *, stopping: bool) -> None:
        super().__init__(message)
        self.stopping = stopping


class LeaseLostError(StoreError):
    """The job was taken from this process: it was paused, cancelled or taken over, and nothing was written."""

    fault = Fault.foreign


@dataclass(frozen=True)
class Waiting:
    """A job that nobody runs: new, put back, or left by a process that died (`orphaned`)."""

    id: str
    kind: str
    priority: int
    orphaned: bool


@dataclass(frozen=True)
class Held:
    """A job that a process runs. silent: seconds since its last sign of life."""

    job: str
    holder: Holder
    silent: float


def now(connection: Connection) -> datetime:
    """The time by the database's clock, which is one for all machines."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)  # a file is used from one machine
    moment: datetime = connection.scalars(select(func.clock_timestamp())).one()
    return moment.astimezone(UTC)


def take(connection: Connection, job: Any, holder: Holder) -> tuple[str, str | None]:
    """Give the job (its locked row) to a process: the new lease's token, and whom it was taken over from, if anybody.

    Raises JobHeldError while another process, or another thread of this one, runs it.
    """
    moment = now(connection)
    held = connection.execute(select(leases).where(leases.c.job == job.number).with_for_update()).one_or_none()
    previous = None
    if held is not None:
        silent = (moment - held.heartbeat).total_seconds()
        gone = is_gone(_holder(held))
        if not gone and silent < LEASE_SECONDS:
            raise _refusal(job, _holder(held), silent)
        previous = f"{_holder(held)}, which " + ("has ended" if gone else f"has been silent for {silent:.0f} s")
        connection.execute(delete(leases).where(leases.c.job == job.number))
    token = uuid.uuid4().hex
    connection.execute(
        insert(leases).values(
            job=job.number,
            token=token,
            host=holder.host,
            machine=holder.machine,
            process=holder.process,
            started=holder.started,
            heartbeat=moment,
        )
    )
    return token, previous


def _refusal(job: Any, holder: Holder, silent: float) -> JobHeldError:
    if job.state == "running":
        remedy = f"pause it first with `ruleforge pause {job.id}`, or wait for its end"
        return JobHeldError(
            f"job {job.id} is being run by {holder} (last sign of life {max(silent, 0.0):.0f} s ago): {remedy}",
            stopping=False,
        )
    return JobHeldError(
        f"job {job.id} is {job.state}, and {holder} is still ending its last piece of work: try again in a moment",
        stopping=True,
    )


def renew(connection: Connection, job_id: str, token: str) -> str | None:
    """A sign of life of the holder: the state of the job, or None if the lease is another's now."""
    number = select(jobs.c.number).where(jobs.c.id == job_id).scalar_subquery()
    mine = (leases.c.job == number, leases.c.token == token)
    renewed = connection.execute(update(leases).where(*mine).values(heartbeat=now(connection)))
    if renewed.rowcount == 0:
        return None
    state: str = connection.scalars(select(jobs.c.state).where(jobs.c.id == job_id)).one()
    return state


def release(connection: Connection, job_id: str, token: str) -> None:
    """Let go of a job; nothing happens if another has it."""
    number = select(jobs.c.number).where(jobs.c.id == job_id).scalar_subquery()
    connection.execute(delete(leases).where(leases.c.job == number, leases.c.token == token))


def check(connection: Connection, job: Any, token: str | None) -> None:
    """Raise LeaseLostError unless the job (its locked row) is held by this lease, or by nobody if there is none."""
    held = connection.execute(select(leases).where(leases.c.job == job.number)).one_or_none()
    if (None if held is None else held.token) != token:
        who = "nobody" if held is None else str(_holder(held))
        raise LeaseLostError(
            f"job {job.id} is held by {who} now: this process has to leave it, and nothing was written"
        )
    if token is not None and job.state != "running":
        raise LeaseLostError(f"job {job.id} was {job.state} from outside: this process has to leave it")


def waiting(connection: Connection, kinds: Collection[str]) -> list[Waiting]:
    """Jobs of these kinds that nobody runs, in the order in which they are to be taken."""
    query = (
        select(jobs.c.id, jobs.c.kind, jobs.c.state, queue.c.priority, leases)
        .join(queue, queue.c.job == jobs.c.number)
        .outerjoin(leases, leases.c.job == jobs.c.number)
        .where(jobs.c.state.in_(("queued", "running")), jobs.c.kind.in_(sorted(kinds)))
        .order_by(queue.c.priority.desc(), jobs.c.number)
    )
    moment = now(connection)
    found = []
    for row in connection.execute(query):
        held = row.token is not None
        if held and (moment - row.heartbeat).total_seconds() < LEASE_SECONDS and not is_gone(_holder(row)):
            continue
        found.append(Waiting(row.id, row.kind, row.priority, orphaned=row.state == "running"))
    return found


def held(connection: Connection) -> list[Held]:
    """The jobs that processes run, oldest first; a process that has died is listed until its job is taken over."""
    query = select(jobs.c.id, leases).join(leases, leases.c.job == jobs.c.number).order_by(jobs.c.number)
    moment = now(connection)
    rows = connection.execute(query).all()
    return [Held(row.id, _holder(row), max((moment - row.heartbeat).total_seconds(), 0.0)) for row in rows]


def _holder(row: Any) -> Holder:
    return Holder(row.host, row.machine, row.process, row.started)
