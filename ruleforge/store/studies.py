"""Studies: several jobs that belong together. Every function works inside the caller's transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, exists, insert, select

from ruleforge.errors import AmbiguousError, InputError
from ruleforge.store.jobs import create_jobs
from ruleforge.store.records import END_STATES, NewStudy, StudyRecord
from ruleforge.store.rules import begins_with
from ruleforge.store.schema import jobs, studies, study_jobs


def create_study(connection: Connection, study: NewStudy) -> str:
    """Record a study with its jobs, all queued, and return its id.

    A study of the same hash is that study: only jobs of it that were deleted are made anew.
    """
    same = select(studies.c.number, studies.c.id).where(studies.c.spec_hash == study.spec_hash)
    row: Any = connection.execute(same).one_or_none() or _add_study(connection, study)
    number, id = int(row.number), str(row.id)
    places = set(connection.scalars(select(study_jobs.c.position).where(study_jobs.c.study == number)))
    missing = [(position, *item) for position, item in enumerate(study.jobs) if position not in places]
    made = create_jobs(connection, [job for _, _, job in missing])
    rows = [
        {"study": number, "position": position, "job": job, "configuration": configuration}
        for (position, configuration, _), (job, _) in zip(missing, made, strict=True)
    ]
    if rows:
        connection.execute(insert(study_jobs), rows)
    return id


def _add_study(connection: Connection, study: NewStudy) -> Any:
    values = {
        "id": uuid.uuid4().hex[:12],
        "spec_hash": study.spec_hash,
        "name": study.name,
        "created": datetime.now(UTC),
        "spec": dict(study.spec),
    }
    return connection.execute(insert(studies).returning(studies.c.number, studies.c.id), [values]).one()


def find_study(connection: Connection, prefix: str, record: str) -> StudyRecord:
    """The study whose id begins with `prefix`. Raises InputError, naming the `record`, if there is none or several."""
    ids: Sequence[str] = list(connection.scalars(begins_with(studies.c.id, prefix)))
    if not ids:
        raise InputError(f"no study {prefix!r} in {record}: `ruleforge study FILE.toml` makes one")
    if len(ids) > 1:
        raise AmbiguousError("studies", prefix, ids)
    row: Any = connection.execute(select(studies).where(studies.c.id == ids[0])).one()
    query = (
        select(study_jobs.c.configuration, jobs.c.id)
        .join(jobs, jobs.c.number == study_jobs.c.job)
        .where(study_jobs.c.study == row.number)
        .order_by(study_jobs.c.position)
    )
    members = tuple((member.configuration, member.id) for member in connection.execute(query))
    spec = row.spec if isinstance(row.spec, dict) else {}  # where it is damaged, its jobs are shown all the same
    return StudyRecord(row.id, spec, row.spec_hash, row.name, row.created, members)


def ended_studies(connection: Connection) -> list[str]:
    """The ids of the studies all of whose jobs have ended, oldest first."""
    goes_on = (
        exists()
        .where(study_jobs.c.study == studies.c.number)
        .where(jobs.c.number == study_jobs.c.job)
        .where(jobs.c.state.not_in(END_STATES))
    )
    return list(connection.scalars(select(studies.c.id).where(~goes_on).order_by(studies.c.number)))
