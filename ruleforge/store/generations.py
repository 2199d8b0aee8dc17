"""Generations of a job, committed in one piece and read again. Every function works in the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from ruleforge.context import Context
from ruleforge.errors import InputError
from ruleforge.store.behaviours import Finding, Recorded, not_found, record_behaviours
from ruleforge.store.bulk import insert_rows, json_text
from ruleforge.store.database import chunks, finite, finite_json, insert_over
from ruleforge.store.events import add_events
from ruleforge.store.records import CandidateRecord, FrontItem, GenerationRecord, RollBack, RuleRecord
from ruleforge.store.rules import RECORDED, as_written, fitness, own_writing, record_rules, recorded_row
from ruleforge.store.schema import behaviours, candidates, checkpoints, generations, jobs, rules, settings
from ruleforge.store.scores import record_scores
from ruleforge.store.settings import settings_number
from ruleforge.store.statistics import count_judged


def add_generation(connection: Connection, job: Any, generation: GenerationRecord) -> None:
    """Add one generation to a running job (its locked row): rules, candidates, scores, the search state, events."""
    if job.state != "running":
        raise InputError(f"job {job.id} is {job.state}: a generation is committed to a running job only")
    if generation.number != job.generation:
        raise InputError(
            f"job {job.id} has {job.generation} generations, and number {generation.number} came: "
            "it was committed already, or another process runs this job"
        )
    recorded = _add_candidates(connection, job, generation)
    record_scores(connection, generation.scores, {id: rule.number for id, rule in recorded.items()})
    totals = {
        "evaluations": int(generation.evaluations),
        "best": finite(generation.best),
        "seconds": float(generation.seconds),
    }
    own = {"median": finite(generation.median), "n_distinct": int(generation.n_distinct)}
    front = list(generation.front)
    row = {"job": job.number, "number": generation.number, **totals, **own, "front": json_text(front)}
    insert_rows(connection, generations, tuple(row), [tuple(row.values())])
    now = datetime.now(UTC)
    connection.execute(
        update(jobs).where(jobs.c.number == job.number),
        {
            "generation": generation.number + 1,
            "history": generation.history,
            "updated": now,
            "revision": job.revision + 1,
            **totals,
        },
    )
    checkpoint = {"job": job.number, "search_state": dict(generation.search_state)}
    insert_over(connection, checkpoints, checkpoint, "search_state")
    events: list[tuple[str, Mapping[str, Any]]] = [("generation", {"number": generation.number, **totals, **own})]
    if front != _front_before(connection, job.number, generation.number):
        items = [_front_object(item) for item in _front_items(connection, job.number, front, generation.candidates)]
        events.insert(0, ("front", {"generation": generation.number, "items": items}))
    add_events(connection, job.number, now, events)


def roll_back(connection: Connection, job: Any, back_to: RollBack) -> list[tuple[str, Mapping[str, Any]]]:
    """Take the last generations of a job (its locked row) away, and put its search where it stood before them.

    What only these generations found, the job has not found; rules, scores and what was measured of behaviours stay,
    and the time that it took. Returns the events that tell of the front, if it is another one now.
    """
    kept = select(generations).where(generations.c.job == job.number, generations.c.number == back_to.generation - 1)
    before: Any = connection.execute(kept).one_or_none()
    newest = _front_before(connection, job.number, job.generation)
    front = [] if before is None else before.front
    not_found(connection, job.number, _found_from(connection, job, back_to.generation))
    connection.execute(
        delete(candidates).where(candidates.c.job == job.number, candidates.c.generation >= back_to.generation)
    )
    connection.execute(
        delete(generations).where(generations.c.job == job.number, generations.c.number >= back_to.generation)
    )
    totals = {"evaluations": back_to.evaluations, "best": None if before is None else before.best}
    stands = {"generation": back_to.generation, "history": back_to.history, **totals}
    connection.execute(update(jobs).where(jobs.c.number == job.number).values(stands))
    checkpoint = {"job": job.number, "search_state": dict(back_to.search_state)}
    insert_over(connection, checkpoints, checkpoint, "search_state")
    if front == newest:
        return []
    items = [_front_object(item) for item in _front_items(connection, job.number, front, [])]
    return [("front", {"generation": back_to.generation - 1, "items": items})]


def _found_from(connection: Connection, job: Any, generation: int) -> list[int]:
    """Numbers of the behaviours that the job found in this generation or later, and not before."""
    of_job = (
        select(behaviours.c.number)
        .join(rules, rules.c.behaviour == behaviours.c.behaviour)
        .join(candidates, candidates.c.rule == rules.c.number)
        .where(candidates.c.job == job.number, behaviours.c.settings == job_settings(connection, job))
        .group_by(behaviours.c.number)
        .having(func.min(candidates.c.generation) >= generation)
    )
    return list(connection.scalars(of_job))


def _add_candidates(connection: Connection, job: Any, generation: GenerationRecord) -> dict[str, Recorded]:
    recorded = record_rules(connection, [candidate.rule for candidate in generation.candidates])
    rows, measured = [], []
    for candidate in generation.candidates:
        rule = recorded[candidate.rule.id]
        differs = candidate.rule.text != rule.text
        value, outcome = finite(candidate.fitness), str(candidate.outcome)
        rows.append(
            (
                job.number,
                generation.number,
                int(candidate.order),
                rule.number,
                value,
                outcome,
                candidate.rule.text if differs else None,
                json_text(candidate.rule.tokens) if differs else None,
                candidate.origin,
                json_text(candidate.parents) if candidate.parents else None,
            )
        )
        measured.append(Finding(rule, value, outcome))
    if rows:
        insert_rows(connection, candidates, _CANDIDATE, rows)
        record_behaviours(connection, job_settings(connection, job), measured, job.number)
        count_judged(connection, Counter(str(finding.outcome) for finding in measured))
    return recorded


_CANDIDATE = ("job", "generation", "position", "rule", "fitness", "outcome", "text", "tokens", "origin", "parents")


def job_settings(connection: Connection, job: Any) -> int:
    """The number of the job's context."""
    return settings_number(connection, Context(job.context, job.task))


def add_library(
    connection: Connection, of_settings: int, library: Sequence[tuple[RuleRecord, Mapping[str, Any]]]
) -> None:
    """Keep summaries on the library with the behaviours of a context; no rule of it need be a candidate of any job."""
    recorded = record_rules(connection, [rule for rule, _ in library])
    measured = [Finding(recorded[rule.id], library=summary) for rule, summary in library]
    record_behaviours(connection, of_settings, measured)


def add_validations(connection: Connection, job: Any, validations: Mapping[str, Mapping[str, Any]]) -> None:
    """Keep the validations, by rule id, with the job's candidates and, where they are the best, their behaviours."""
    changes, measured = [], []
    found: set[str] = set()
    for chunk in chunks(sorted(validations)):
        query = (
            select(candidates.c.number.label("of"), *RECORDED, candidates.c.fitness, candidates.c.outcome)
            .join(rules, rules.c.number == candidates.c.rule)
            .where(candidates.c.job == job.number, rules.c.id.in_(chunk))
            .order_by(candidates.c.number)
        )
        for row in connection.execute(query):
            summary = finite_json(dict(validations[row.id]))
            found.add(row.id)
            changes.append({"of": row.of, "validation_aggregate": finite(summary["aggregate"]), "validation": summary})
            measured.append(Finding(recorded_row(row), row.fitness, row.outcome, summary))
    missing = sorted(set(validations) - found)
    if missing:
        raise InputError(f"the rule {missing[0]!r} was validated, and it is no candidate of job {job.id}")
    if changes:
        connection.execute(update(candidates).where(candidates.c.number == bindparam("of")), changes)
        record_behaviours(connection, job_settings(connection, job), measured)


def archive(connection: Connection, job: int) -> list[CandidateRecord]:
    """All candidates of a job in the order of asking, each rule as this job wrote it."""
    c = candidates.c
    query = (
        select(rules, *own_writing(), c.fitness, c.outcome, c.position, c.origin, c.parents)
        .join(candidates, c.rule == rules.c.number)
        .where(c.job == job)
        .order_by(c.generation, c.position)
    )
    return [
        CandidateRecord(
            as_written(row), fitness(row.fitness), row.outcome, row.position, row.origin, tuple(row.parents or ())
        )
        for row in connection.execute(query)
    ]


def newest_front(connection: Connection, job: int) -> list[FrontItem]:
    """The front of the newest generation, simplest first; none before the first generation."""
    query = select(generations.c.front).where(generations.c.job == job).order_by(generations.c.number.desc()).limit(1)
    return _front_items(connection, job, connection.scalars(query).one_or_none() or [], [])


def _front_before(connection: Connection, job: int, number: int) -> list[str]:
    query = select(generations.c.front).where(generations.c.job == job, generations.c.number == number - 1)
    return connection.scalars(query).one_or_none() or []


def _front_items(
    connection: Connection, job: int, front: Sequence[str], just_now: Sequence[CandidateRecord]
) -> list[FrontItem]:
    """The rules of a front; those among `just_now` are not read. A front may name rules that nobody recorded."""
    items: dict[str, FrontItem] = {}
    for candidate in just_now:
        items.setdefault(
            candidate.rule.id, FrontItem(candidate.rule, float(candidate.fitness), str(candidate.outcome), None)
        )
    further = sorted(id for id in set(front) if id not in items)
    for chunk in chunks(further):
        c = candidates.c
        query = (
            select(rules, *own_writing(), c.fitness, c.outcome, c.validation, behaviours.c.library)
            .join(candidates, c.rule == rules.c.number)
            .join(jobs, jobs.c.number == c.job)
            .outerjoin(settings, settings.c.digest == jobs.c.context)
            .outerjoin(
                behaviours,
                (behaviours.c.settings == settings.c.number) & (behaviours.c.behaviour == rules.c.behaviour),
            )
            .where(c.job == job, rules.c.id.in_(chunk))
            .order_by(c.generation, c.position)
        )
        for row in connection.execute(query):
            item = FrontItem(as_written(row), fitness(row.fitness), row.outcome, row.validation, row.library)
            items.setdefault(row.id, item)
    found = [items[id] for id in front if id in items]
    return sorted(found, key=lambda item: item.rule.complexity)


def _front_object(item: FrontItem) -> dict[str, Any]:
    """The rule object of a front event; what comes only with the validation is None."""
    return {
        "id": item.rule.id,
        "behaviour": item.rule.behaviour,
        "rule": item.rule.text,
        "complexity": item.rule.complexity,
        "fitness": finite(item.fitness),
        "validation_fitness": None,
        "outcome": item.outcome,
        "known_as": item.rule.known_as,
        "known_factor": finite(item.rule.known_factor),
    }


_HISTORY = [column for column in generations.c if column.name not in ("job", "front")]


def list_generations(connection: Connection, job: int) -> list[dict[str, Any]]:
    """The generations of a job in order: number, evaluations, best, median, n_distinct, seconds, front."""
    query = select(*_HISTORY, generations.c.front).where(generations.c.job == job).order_by(generations.c.number)
    return [dict(row) for row in connection.execute(query).mappings()]


def history(connection: Connection, job: int, points: int | None) -> list[dict[str, Any]]:
    """The generations without their fronts, thinned to at most `points`."""
    if points is not None and points < 1:
        raise InputError(f"expected 1 point or more, and {points} came", pointer="/points")
    query = select(*_HISTORY).where(generations.c.job == job).order_by(generations.c.number)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    return rows if points is None else [rows[index] for index in thinned([row["best"] for row in rows], points)]


def thinned(best: Sequence[float | None], points: int) -> list[int]:
    """At most so many indexes, in order: the last, the first, improvements of the best, then what lies between.

    Where there is no room for all of a kind, they are taken in equal steps.
    """
    n = len(best)
    if n <= points:
        return list(range(n))
    improvements, so_far = [], None
    for index, value in enumerate(best):
        if value is not None and (so_far is None or value > so_far):
            improvements.append(index)
            so_far = value
    kept = dict.fromkeys([n - 1, 0][:points])
    for group in (improvements, range(n)):
        further = [index for index in group if index not in kept]
        room = min(points - len(kept), len(further))
        kept |= dict.fromkeys(further[(2 * step + 1) * len(further) // (2 * room)] for step in range(room))
    return sorted(kept)
