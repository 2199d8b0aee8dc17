"""Deleting a job. The function works inside the caller's transaction."""

from __future__ import annotations

from sqlalchemy import Connection, delete, exists, select

from ruleforge.errors import InputError
from ruleforge.store.jobs import locked
from ruleforge.store.records import END_STATES
from ruleforge.store.requests import forget
from ruleforge.store.schema import (
    behaviours,
    candidates,
    checkpoints,
    events,
    findings,
    generations,
    jobs,
    leases,
    queue,
    results,
    rules,
    settings,
    studies,
    study_jobs,
)


def delete_job(connection: Connection, job_id: str, record: str) -> None:
    """Remove a job that has ended, with its generations, candidates and events; one transaction at a time.

    Rules, behaviours with their best figures and found counts, and scores stay. A study goes with its last job.
    """
    job = locked(connection, job_id, record)
    if job.state not in END_STATES:
        raise InputError(f"job {job_id} is {job.state}, and only a job that has ended can be deleted: cancel it first")
    its_behaviours = (
        select(behaviours.c.number)
        .join(settings, settings.c.number == behaviours.c.settings)
        .join(rules, rules.c.behaviour == behaviours.c.behaviour)
        .join(candidates, candidates.c.rule == rules.c.number)
        .where(candidates.c.job == job.number, settings.c.digest == job.context)
    )
    mine = findings.c.behaviour.in_(its_behaviours.scalar_subquery())
    connection.execute(delete(findings).where(findings.c.job == job.number, mine))
    for table in (candidates, generations, events, checkpoints, results, leases, queue, study_jobs):
        connection.execute(delete(table).where(table.c.job == job.number))
    connection.execute(delete(jobs).where(jobs.c.number == job.number))
    forget(connection, job_id)
    empty = select(studies.c.id).where(~exists().where(study_jobs.c.study == studies.c.number))
    for id in connection.scalars(empty).all():
        connection.execute(delete(studies).where(studies.c.id == id))
        forget(connection, id)
