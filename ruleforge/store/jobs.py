"""Jobs, their states, generations and events. Every function works inside the caller's transaction."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from ruleforge.errors import InputError, unknown_name
from ruleforge.store import leases
from ruleforge.store.database import chunks, finite, finite_json, numbers
from ruleforge.store.holders import Holder
from ruleforge.store.records import (
    END_STATES,
    STATES,
    CandidateRecord,
    GenerationRecord,
    JobRecord,
    NewJob,
    RuleRecord,
    ScoreRecord,
)
from ruleforge.store.rules import begins_with, fitness, record_best, record_rules, record_scores
from ruleforge.store.schema import candidates, events, generations, jobs, queue, rules

_LARGE = {"search_state", "result"}


def create_job(connection: Connection, job: NewJob) -> str:
    """Record a new job in state "queued" and return its id."""
    now = datetime.now(UTC)
    id = uuid.uuid4().hex[:12]
    values = {
        "id": id,
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
    }
    connection.execute(insert(jobs).values(values))
    number = connection.scalars(select(jobs.c.number).where(jobs.c.id == id)).one()
    connection.execute(insert(queue).values(job=number, priority=job.priority))
    _add_event(connection, number, now, "state", {"state": "queued", "previous": None, "reason": "submitted"})
    return id


def find_job(connection: Connection, prefix: str, record: str) -> JobRecord:
    """The job whose id begins with `prefix`. Raises InputError, naming the `record`, if there is none or several."""
    ids = list(connection.scalars(begins_with(jobs.c.id, prefix)))
    if not ids:
        raise InputError(f"no job {prefix!r} in {record}: `ruleforge jobs` lists them")
    if len(ids) > 1:
        raise InputError(f"several jobs begin with {prefix!r} ({', '.join(sorted(ids)[:3])}, …): write more of the id")
    return _job_record(connection.execute(select(jobs).where(jobs.c.id == ids[0])).one())


def list_jobs(connection: Connection, task: str | None, state: str | None, limit: int | None) -> list[JobRecord]:
    """Jobs, newest first, without their search state and result."""
    query = (
        select(*(column for column in jobs.c if column.name not in _LARGE)).order_by(jobs.c.number.desc()).limit(limit)
    )
    if task is not None:
        query = query.where(jobs.c.task == task)
    if state is not None:
        query = query.where(jobs.c.state == _checked_state(state))
    return [_job_record(row) for row in connection.execute(query)]


def _job_record(row: Any) -> JobRecord:
    fields = {name: value for name, value in row._mapping.items() if name != "number"}
    return JobRecord(**fields | {"tags": tuple(fields["tags"])})


def _checked_state(state: str) -> str:
    if state not in STATES:
        raise InputError(unknown_name("state", state, STATES))
    return state


def _locked(connection: Connection, job_id: str, record: str) -> Any:
    """The job's row, which no other transaction can change until this one ends."""
    columns = (jobs.c.number, jobs.c.id, jobs.c.state, jobs.c.generation)
    row = connection.execute(select(*columns).where(jobs.c.id == job_id).with_for_update()).one_or_none()
    if row is None:
        raise InputError(f"no job {job_id!r} in {record}: `ruleforge jobs` lists them")
    return row


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
    job = _locked(connection, job_id, record)
    if lease is not None:
        leases.check(connection, job, lease)
    _refuse_unless(allowed, job, f"become {_checked_state(state)}")
    _move(connection, job, state, {"reason": reason}, {})
    if lease is not None:
        leases.release(connection, job_id, lease)


def take(
    connection: Connection, job_id: str, holder: Holder, reason: str, allowed: Collection[str], record: str
) -> str:
    """Give a job to a process, which runs it from now on: the token of its lease."""
    job = _locked(connection, job_id, record)
    _refuse_unless(allowed, job, "be run")
    token, previous = leases.take(connection, job, holder)
    if job.state == "running":
        reason = f"taken over from {previous or 'a process that left no lease'}"
    _move(connection, job, "running", {"reason": reason, "host": holder.host, "process": holder.process}, {})
    return token


def _refuse_unless(allowed: Collection[str], job: Any, what: str) -> None:
    if job.state in END_STATES:
        raise InputError(f"job {job.id} has {job.state} and cannot {what}: submit its specification as a new job")
    if job.state not in allowed:
        raise InputError(
            f"job {job.id} is {job.state} and cannot {what}: expected a job that is {' or '.join(allowed)}"
        )


def _move(connection: Connection, job: Any, state: str, why: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    now = datetime.now(UTC)
    connection.execute(update(jobs).where(jobs.c.number == job.number).values(state=state, updated=now, **values))
    if state in END_STATES:
        connection.execute(delete(queue).where(queue.c.job == job.number))
    _add_event(connection, job.number, now, "state", {"state": state, "previous": job.state, **why})


def _add_event(connection: Connection, job: int, time: datetime, kind: str, payload: Mapping[str, Any]) -> None:
    connection.execute(insert(events).values(job=job, time=time, kind=kind, payload=dict(payload)))


def commit_generation(
    connection: Connection, job_id: str, generation: GenerationRecord, lease: str | None, record: str
) -> None:
    """Add one generation to a running job: rules, candidates, scores, the search state, an event."""
    job = _locked(connection, job_id, record)
    leases.check(connection, job, lease)
    if job.state != "running":
        raise InputError(f"job {job_id} is {job.state}: a generation is committed to a running job only")
    if generation.number != job.generation:
        raise InputError(
            f"job {job_id} has {job.generation} generations, and number {generation.number} came: "
            "it was committed already, or another process runs this job"
        )
    _add_candidates(connection, job.number, generation)
    record_scores(connection, generation.scores)
    totals = {
        "evaluations": int(generation.evaluations),
        "best": finite(generation.best),
        "seconds": float(generation.seconds),
    }
    own = {"median": finite(generation.median), "n_distinct": int(generation.n_distinct)}
    connection.execute(
        insert(generations).values(
            job=job.number, number=generation.number, front=list(generation.front), **totals, **own
        )
    )
    now = datetime.now(UTC)
    connection.execute(
        update(jobs)
        .where(jobs.c.number == job.number)
        .values(
            generation=generation.number + 1,
            history=generation.history,
            search_state=dict(generation.search_state),
            updated=now,
            **totals,
        )
    )
    _add_event(connection, job.number, now, "generation", {"number": generation.number, **totals, **own})


def _add_candidates(connection: Connection, job: int, generation: GenerationRecord) -> None:
    rule_numbers = record_rules(connection, [candidate.rule for candidate in generation.candidates])
    recorded: dict[str, str] = {}
    for chunk in chunks(sorted(rule_numbers)):
        query = select(rules.c.id, rules.c.text).where(rules.c.id.in_(chunk))
        recorded.update({row.id: row.text for row in connection.execute(query)})
    rows = []
    for candidate in generation.candidates:
        differs = candidate.rule.text != recorded[candidate.rule.id]
        rows.append(
            {
                "job": job,
                "generation": generation.number,
                "position": int(candidate.order),
                "rule": rule_numbers[candidate.rule.id],
                "fitness": finite(candidate.fitness),
                "outcome": str(candidate.outcome),
                "text": candidate.rule.text if differs else None,
                "tokens": [list(expression) for expression in candidate.rule.tokens] if differs else None,
            }
        )
    if rows:
        connection.execute(insert(candidates), rows)
        mine = (candidates.c.job == job, candidates.c.generation == generation.number)
        record_best(connection, list(connection.scalars(select(candidates.c.number).where(*mine))))


def archive(connection: Connection, job_id: str, record: str) -> list[CandidateRecord]:
    """All candidates of a job in the order of asking, each rule as this job wrote it."""
    query = (
        select(
            rules,
            candidates.c.text.label("own_text"),
            candidates.c.tokens.label("own_tokens"),
            candidates.c.fitness,
            candidates.c.outcome,
            candidates.c.position,
        )
        .join(candidates, candidates.c.rule == rules.c.number)
        .where(candidates.c.job == _number(connection, job_id, record))
        .order_by(candidates.c.generation, candidates.c.position)
    )
    result = []
    for row in connection.execute(query):
        text, tokens = (row.text, row.tokens) if row.own_text is None else (row.own_text, row.own_tokens)
        rule = RuleRecord(row.id, row.task, text, tokens, row.complexity, row.behaviour, row.known_as, row.known_factor)
        result.append(CandidateRecord(rule, fitness(row.fitness), row.outcome, row.position))
    return result


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
    record: str,
) -> None:
    """End a job: its result, the validations by rule id, the scores behind them, the state and its event."""
    if state not in END_STATES:
        raise InputError(f"a job is finished as one of {', '.join(sorted(END_STATES))}, and {state!r} came")
    job = _locked(connection, job_id, record)
    _refuse_unless(STATES, job, f"become {state}")
    leases.check(connection, job, lease)
    _add_validations(connection, job, validations)
    record_scores(connection, scores)
    _move(connection, job, state, {"reason": reason}, {"stopped_by": stopped_by, "result": finite_json(result)})
    if lease is not None:
        leases.release(connection, job_id, lease)


def _add_validations(connection: Connection, job: Any, validations: Mapping[str, Mapping[str, Any]]) -> None:
    rule_numbers = numbers(connection, rules.c.id, validations)
    validated: list[int] = []
    for rule_id, validation in sorted(validations.items()):
        mine = (candidates.c.job == job.number, candidates.c.rule == rule_numbers.get(rule_id))
        found = list(connection.scalars(select(candidates.c.number).where(*mine)))
        if not found:
            raise InputError(f"the rule {rule_id!r} was validated, and it is no candidate of job {job.id}")
        values = {
            "validation_aggregate": finite(validation["aggregate"]),
            "validation_mean": finite(validation["mean"]),
            "validation_standard_error": finite(validation["standard_error"]),
            "validation_n": int(validation["n"]),
        }
        connection.execute(update(candidates).where(*mine).values(values))
        validated += found
    record_best(connection, sorted(validated))


def list_generations(connection: Connection, job_id: str, record: str) -> list[dict[str, Any]]:
    """The generations of a job in order: number, evaluations, best, median, n_distinct, seconds, front."""
    query = (
        select(*(column for column in generations.c if column.name != "job"))
        .where(generations.c.job == _number(connection, job_id, record))
        .order_by(generations.c.number)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def list_events(connection: Connection, job_id: str, after: int, record: str) -> list[dict[str, Any]]:
    """The events of a job with an id above `after`, in order: id, time, kind, payload."""
    query = (
        select(events.c.id, events.c.time, events.c.kind, events.c.payload)
        .where(events.c.job == _number(connection, job_id, record), events.c.id > after)
        .order_by(events.c.id)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def _number(connection: Connection, job_id: str, record: str) -> int:
    number: int | None = connection.scalars(select(jobs.c.number).where(jobs.c.id == job_id)).one_or_none()
    if number is None:
        raise InputError(f"no job {job_id!r} in {record}: `ruleforge jobs` lists them")
    return number
