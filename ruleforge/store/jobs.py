"""Jobs and their states. Every function works inside the caller's transaction."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from ruleforge.context import Context
from ruleforge.errors import AmbiguousError, InputError, unknown_name
from ruleforge.store import leases
from ruleforge.store.cursors import checked_limit, cursor, place
from ruleforge.store.database import chunks, finite_json, is_text
from ruleforge.store.events import add_events, add_first_events
from ruleforge.store.generations import add_library, add_validations, job_settings
from ruleforge.store.holders import Holder
from ruleforge.store.records import (
    END_STATES,
    STATES,
    JobRecord,
    Keep,
    NewJob,
    Page,
    RuleRecord,
    ScoreRecord,
)
from ruleforge.store.rules import begins_with
from ruleforge.store.schema import checkpoints, jobs, queue, results, studies, study_jobs
from ruleforge.store.scores import record_scores
from ruleforge.store.settings import settings_number


class RevisionError(InputError):
    """The job was changed since the caller read it, and nothing was written."""


def create_job(connection: Connection, job: NewJob) -> str:
    """Record a new job in state "queued" and return its id."""
    ((_, id),) = create_jobs(connection, [job])
    return id


def create_jobs(connection: Connection, new: Sequence[NewJob]) -> list[tuple[int, str]]:
    """Record new jobs in state "queued", in this order: (number, id) of each.

    A study may have thousands, which a statement for each would take half a minute for.
    """
    now = datetime.now(UTC)
    rows = []
    contexts = {}
    for job in new:
        _check_texts(name=job.name, notes=job.notes)
        context = job.context or Context.of(job.task)
        contexts[context.digest] = context
        rows.append(_new_row(job, context, now))
    for context in contexts.values():
        settings_number(connection, context)
    numbers: dict[str, int] = {}
    for chunk in chunks(rows):
        connection.execute(insert(jobs), list(chunk))
        made = select(jobs.c.id, jobs.c.number).where(jobs.c.id.in_([row["id"] for row in chunk]))
        numbers.update({row.id: row.number for row in connection.execute(made)})
    created = [(numbers[row["id"]], str(row["id"])) for row in rows]
    waiting = [{"job": number, "priority": job.priority} for (number, _), job in zip(created, new, strict=True)]
    if waiting:
        connection.execute(insert(queue), waiting)
    submitted = {"state": "queued", "previous": None, "reason": "submitted"}
    add_first_events(connection, [number for number, _ in created], now, "state", submitted)
    return created


def _new_row(job: NewJob, context: Context, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex[:12],
        "task": job.task,
        "kind": job.kind,
        "state": "queued",
        "spec": dict(job.spec),
        "spec_hash": job.spec_hash,
        "name": job.name,
        "notes": job.notes,
        "tags": list(job.tags),
        "versions": dict(job.versions),
        "generation": 0,
        "evaluations": 0,
        "seconds": 0.0,
        "history": "",
        "created": now,
        "updated": now,
        "revision": 1,
        "started_from": job.started_from,
        "context": context.digest,
    }


def _check_texts(**texts: Any) -> None:
    for field, value in texts.items():
        if isinstance(value, str) and not is_text(value):
            raise InputError(f"{field}: expected text without NUL and unpaired surrogates", pointer=f"/{field}")


def find_job(connection: Connection, prefix: str, record: str) -> JobRecord:
    """The job whose id begins with `prefix`. Raises InputError, naming the `record`, if there is none or several."""
    ids = list(connection.scalars(begins_with(jobs.c.id, prefix)))
    if not ids:
        raise _unknown(prefix, record)
    if len(ids) > 1:
        raise AmbiguousError("jobs", prefix, ids)
    query = (
        _with_study(checkpoints.c.search_state, results.c.result)
        .outerjoin(checkpoints, checkpoints.c.job == jobs.c.number)
        .outerjoin(results, results.c.job == jobs.c.number)
        .where(jobs.c.id == ids[0])
    )
    return _job_record(connection.execute(query).one())


def jobs_of_study(connection: Connection, study: str) -> list[JobRecord]:
    """The jobs of a study in the order of running, with their results and without their search state."""
    query = (
        select(jobs, results.c.result)
        .join(study_jobs, study_jobs.c.job == jobs.c.number)
        .join(studies, studies.c.number == study_jobs.c.study)
        .outerjoin(results, results.c.job == jobs.c.number)
        .where(studies.c.id == study)
        .order_by(study_jobs.c.position)
    )
    return [_job_record(row) for row in connection.execute(query)]


def list_jobs(connection: Connection, task: str | None, state: str | None, limit: int | None) -> list[JobRecord]:
    """Jobs, newest first, without their search state and result."""
    query = _restricted({"task": task, "state": state}).limit(limit)
    return [_job_record(row) for row in connection.execute(query)]


def jobs_page(
    connection: Connection,
    task: str | None,
    state: str | None,
    kind: str | None,
    spec_hash: str | None,
    after: str | None,
    limit: int,
) -> Page[JobRecord]:
    """A page of the jobs, newest first, without their search state and result."""
    filters = {"task": task, "state": state, "kind": kind, "spec_hash": spec_hash}
    listing = f"jobs {sorted(filters.items())}"
    start = place(listing, after, [int])
    limit = checked_limit(limit)
    query = _restricted(filters).limit(limit + 1)
    if start is not None:
        query = query.where(jobs.c.number < start[0])
    rows = connection.execute(query).all()
    more = cursor(listing, [rows[limit - 1].number]) if len(rows) > limit else None
    return Page([_job_record(row) for row in rows[:limit]], more)


def _with_study(*further: Any) -> Any:
    """Jobs, each with the study that it is part of and its configuration there."""
    return (
        select(jobs, studies.c.id.label("study"), study_jobs.c.configuration, *further)
        .outerjoin(study_jobs, study_jobs.c.job == jobs.c.number)
        .outerjoin(studies, studies.c.number == study_jobs.c.study)
    )


def _restricted(filters: Mapping[str, str | None]) -> Any:
    query = _with_study().order_by(jobs.c.number.desc())
    for name, value in filters.items():
        if value is not None:
            if name == "state":
                _checked_state(value)
            query = query.where(jobs.c[name] == (value if is_text(value) else ""))
    return query


def _job_record(row: Any) -> JobRecord:
    fields = {name: value for name, value in row._mapping.items() if name != "number"}
    # A part that is damaged is empty: the job is shown, and refused where that part is needed.
    readable = {name: fields[name] if isinstance(fields[name], dict) else {} for name in ("spec", "versions")}
    for name in ("search_state", "result"):
        readable[name] = fields[name] if isinstance(fields.get(name), dict) else None
    tags = fields["tags"] if isinstance(fields["tags"], list) else ()
    return JobRecord(**fields | readable | {"tags": tuple(str(tag) for tag in tags)})


def _checked_state(state: str) -> str:
    if state not in STATES:
        raise InputError(unknown_name("state", state, STATES), pointer="/state")
    return state


def job_number(connection: Connection, job_id: str, record: str) -> int:
    """The key of a job. Raises InputError, naming the `record`, if there is none of this id."""
    number: int | None = None
    if is_text(job_id):
        number = connection.scalars(select(jobs.c.number).where(jobs.c.id == job_id)).one_or_none()
    if number is None:
        raise _unknown(job_id, record)
    return number


def _unknown(job_id: str, record: str) -> InputError:
    return InputError(f"no job {job_id!r} in {record}: `ruleforge jobs` lists them")


_CHANGING = (
    *(jobs.c.number, jobs.c.id, jobs.c.task, jobs.c.context, jobs.c.state),
    *(jobs.c.generation, jobs.c.revision, jobs.c.test_openings),
)


def locked(connection: Connection, job_id: str, record: str) -> Any:
    """The job's row, which no other transaction can change until this one ends."""
    row = None
    if is_text(job_id):
        row = connection.execute(select(*_CHANGING).where(jobs.c.id == job_id).with_for_update()).one_or_none()
    if row is None:
        raise _unknown(job_id, record)
    return row


def describe(
    connection: Connection,
    job_id: str,
    name: str | Keep | None,
    notes: str | Keep | None,
    tags: Sequence[str] | Keep,
    revision: int | None,
    record: str,
) -> JobRecord:
    """Change what describes a job and determines nothing. Raises RevisionError unless it has the revision, if given."""
    _check_texts(name=name, notes=notes)
    job = locked(connection, job_id, record)
    if revision is not None and revision != job.revision:
        raise RevisionError(
            f"job {job_id} was changed meanwhile (expected revision {revision}, and it has {job.revision}): "
            "read it again, then change it"
        )
    given = {"name": name, "notes": notes, "tags": tags if isinstance(tags, Keep) else list(tags)}
    values: dict[str, Any] = {column: value for column, value in given.items() if not isinstance(value, Keep)}
    if values:
        values |= {"updated": datetime.now(UTC), "revision": job.revision + 1}
        connection.execute(update(jobs).where(jobs.c.number == job.number).values(values))
    return find_job(connection, job_id, record)


def set_state(
    connection: Connection,
    job_id: str,
    state: str,
    reason: str,
    lease: str | None,
    allowed: Collection[str],
    record: str,
) -> None:
    """Move a job to another state, with an event. Raises InputError if it is in none of the allowed ones."""
    job = locked(connection, job_id, record)
    if lease is not None:
        leases.check(connection, job, lease)
    _refuse_unless(allowed, job, f"become {_checked_state(state)}")
    move(connection, job, state, {"reason": reason}, {})
    if lease is not None:
        leases.release(connection, job_id, lease)


def open_test(connection: Connection, job_id: str, lease: str | None, record: str) -> int:
    """Count one more opening of a job's test stream: how many there have been then."""
    job = locked(connection, job_id, record)
    leases.check(connection, job, lease)
    values = {"test_openings": job.test_openings + 1, "updated": datetime.now(UTC), "revision": job.revision + 1}
    connection.execute(update(jobs).where(jobs.c.number == job.number).values(values))
    return int(values["test_openings"])


def take(
    connection: Connection, job_id: str, holder: Holder, reason: str, allowed: Collection[str], record: str
) -> str:
    """Give a job to a process, which runs it from now on: the token of its lease."""
    job = locked(connection, job_id, record)
    _refuse_unless(allowed, job, "be run")
    token, previous = leases.take(connection, job, holder)
    if job.state == "running":
        reason = f"taken over from {previous or 'a process that left no lease'}"
    move(connection, job, "running", {"reason": reason, "host": holder.host, "process": holder.process}, {})
    return token


def _refuse_unless(allowed: Collection[str], job: Any, what: str) -> None:
    if job.state in END_STATES:
        raise InputError(
            f"job {job.id} has {job.state} and cannot {what}: `ruleforge resume {job.id} --budget N` takes it further, "
            "or submit its specification as a new job"
        )
    if job.state not in allowed:
        raise InputError(
            f"job {job.id} is {job.state} and cannot {what}: expected a job that is {' or '.join(allowed)}"
        )


def move(
    connection: Connection,
    job: Any,
    state: str,
    why: Mapping[str, Any],
    values: Mapping[str, Any],
    events: Sequence[tuple[str, Mapping[str, Any]]] = (),
) -> None:
    """Put a job (its locked row) into a state, with other values of its row; `events` follow that of the state."""
    now = datetime.now(UTC)
    changes = {"state": state, "updated": now, "revision": job.revision + 1, **values}
    connection.execute(update(jobs).where(jobs.c.number == job.number).values(changes))
    if state in END_STATES:
        connection.execute(delete(queue).where(queue.c.job == job.number))
    moved = ("state", {"state": state, "previous": job.state, **why})
    add_events(connection, job.number, now, [moved, *events])


def finish(
    connection: Connection,
    job_id: str,
    state: str,
    stopped_by: str | None,
    reason: str,
    result: Mapping[str, Any],
    validations: Mapping[str, Mapping[str, Any]],
    scores: Sequence[ScoreRecord],
    lease: str | None,
    opens_test: bool,
    library: Sequence[tuple[RuleRecord, Mapping[str, Any]]],
    record: str,
) -> None:
    """End a job: its result, the validations by rule id, the scores behind them, the state and its event."""
    if state not in END_STATES:
        raise InputError(f"a job is finished as one of {', '.join(sorted(END_STATES))}, and {state!r} came")
    job = locked(connection, job_id, record)
    leases.check(connection, job, lease)
    _refuse_unless(STATES, job, f"become {state}")
    add_validations(connection, job, validations)
    if library:
        add_library(connection, job_settings(connection, job), library)
    record_scores(connection, scores)
    connection.execute(insert(results), {"job": job.number, "result": finite_json(result)})
    openings = job.test_openings + int(opens_test)
    move(connection, job, state, {"reason": reason}, {"stopped_by": stopped_by, "test_openings": openings})
    if lease is not None:
        leases.release(connection, job_id, lease)
