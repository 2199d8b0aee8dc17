"""Taking a job further than its limits led it. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, select

from ruleforge.errors import InputError
from ruleforge.store.database import insert_new
from ruleforge.store.generations import roll_back
from ruleforge.store.jobs import RevisionError, locked, move
from ruleforge.store.records import Extension
from ruleforge.store.schema import queue, results, studies, study_jobs


def extend_job(connection: Connection, job_id: str, extension: Extension, record: str) -> None:
    """Give a job that nobody runs other limits and queue it; its result is made anew at its new end.

    Raises RevisionError if the job was changed since it was read, InputError if it runs or is part of a study.
    """
    job = locked(connection, job_id, record)
    if extension.revision != job.revision:
        raise RevisionError(f"job {job.id} was changed meanwhile: read it again, then take it further")
    if job.state == "running":
        raise InputError(
            f"job {job.id} is running: pause it first with `ruleforge pause {job.id}`, then take it further"
        )
    study = connection.scalars(
        select(studies.c.id)
        .join(study_jobs, study_jobs.c.study == studies.c.number)
        .where(study_jobs.c.job == job.number)
    ).one_or_none()
    if study is not None:
        raise InputError(
            f"job {job.id} is part of the study {study}, whose jobs have the same limits: run the study with larger "
            f"ones, or start a job of its own from the front with `ruleforge evolve TASK --from {job.id}`"
        )
    events: list[tuple[str, Mapping[str, Any]]] = []
    if extension.back_to is not None:
        events = roll_back(connection, job, extension.back_to)
    connection.execute(delete(results).where(results.c.job == job.number))
    insert_new(connection, queue, [{"job": job.number, "priority": 0}])
    changes = {"spec": dict(extension.spec), "spec_hash": extension.spec_hash, "stopped_by": None}
    why = {"reason": extension.reason, "generation": extension.generation}
    move(connection, job, "queued", why, changes, events)
