"""Rules as they were written. Every function works inside the caller's transaction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Select, String, case, cast, false, func, select, update

from ruleforge.errors import AmbiguousError, InputError
from ruleforge.store.behaviours import Recorded, none_if_lowest, rename
from ruleforge.store.bulk import insert_numbered, json_text
from ruleforge.store.database import chunks, finite, is_text
from ruleforge.store.records import Finder, FoundRule, RuleRecord
from ruleforge.store.schema import behaviours, candidates, findings, jobs, results, rules, settings, studies, study_jobs

# Ids are hexadecimal, so every id that begins with p lies between p and pg.
AFTER_HEXADECIMAL = "g"
JOBS_SHOWN = 5
# So many jobs are told of where it is asked who found a rule: those that reported it, then the newest, out of so many.
FINDERS_SHOWN = 20
FINDERS_LOOKED_AT = 1000


def record_rules(connection: Connection, records: Iterable[RuleRecord]) -> dict[str, Recorded]:
    """Insert the rules that are new, one transaction at a time: every rule as it is recorded, by its id."""
    by_id: dict[str, RuleRecord] = {}
    for record in records:
        by_id.setdefault(record.id, record)
    recorded: dict[str, Recorded] = {}
    renamed: dict[int, str | None] = {}
    for chunk in chunks(sorted(by_id)):
        query = select(*RECORDED, rules.c.known_factor).where(rules.c.id.in_(chunk))
        for row in connection.execute(query).all():
            # A later version may know the name of a rule that was recorded without one.
            now = by_id[row.id]
            names = {"known_as": now.known_as, "known_factor": finite(now.known_factor)}
            if (row.known_as, row.known_factor) != tuple(names.values()):
                connection.execute(update(rules).where(rules.c.number == row.number).values(names))
                renamed[row.number] = now.known_as
            recorded[row.id] = replace(recorded_row(row), known_as=now.known_as)
    rename(connection, renamed)
    new = [record for record in by_id.values() if record.id not in recorded]
    numbers = insert_numbered(connection, rules, _COLUMNS, [_rule_row(record) for record in new], ("id",))
    for r in new:
        recorded[r.id] = Recorded(numbers[r.id,], r.task, r.behaviour, r.text, int(r.complexity), r.known_as)
    return recorded


# The columns that `recorded_row` reads, and the id.
RECORDED = tuple(rules.c[name] for name in ("id", "number", "task", "behaviour", "text", "complexity", "known_as"))


def recorded_row(row: Any) -> Recorded:
    """A row with the columns of `RECORDED`."""
    return Recorded(row.number, row.task, row.behaviour, row.text, row.complexity, row.known_as)


_COLUMNS = ("id", "task", "behaviour", "complexity", "known_as", "known_factor", "text", "tokens")


def _rule_row(record: RuleRecord) -> tuple[Any, ...]:
    return (
        record.id,
        record.task,
        record.behaviour,
        int(record.complexity),
        record.known_as,
        finite(record.known_factor),
        record.text,
        json_text(record.tokens),
    )


def find_rule(connection: Connection, prefix: str, record: str) -> FoundRule:
    """The rule whose id begins with `prefix`. Raises InputError, naming the `record`, if there is none or several."""
    ids = list(connection.scalars(begins_with(rules.c.id, prefix)))
    if not ids:
        raise InputError(f"no rule {prefix!r} in {record}: `ruleforge rules` lists them")
    if len(ids) > 1:
        raise AmbiguousError("rules", prefix, ids)
    row: Any = connection.execute(select(rules).where(rules.c.id == ids[0])).one()
    rule = rule_record(row)
    entries = appearances(connection, rule)
    if not entries:
        return FoundRule(rule, None, None, None, found=0, jobs=[])
    found = entries[0]
    # What was measured of this very text, unless only another of the same behaviour was validated.
    own = (
        select(candidates.c.fitness, candidates.c.outcome, candidates.c.validation)
        .join(jobs, jobs.c.number == candidates.c.job)
        .where(candidates.c.rule == row.number, jobs.c.context == found.context)
        .order_by(
            candidates.c.validation.is_not(None).desc(),
            candidates.c.validation_aggregate.desc().nulls_last(),
            candidates.c.fitness.desc().nulls_last(),
            candidates.c.number,
        )
        .limit(1)
    )
    of_this: Any = connection.execute(own).one_or_none()
    if of_this is not None and (of_this.validation is not None or found.validation is None):
        measured = {"fitness": fitness(of_this.fitness), "outcome": of_this.outcome, "validation": of_this.validation}
        found = replace(found, **measured)
    return replace(found, rule=rule)


def appearances(connection: Connection, rule: RuleRecord) -> list[FoundRule]:
    """The entries of a rule's behaviour in every context where it is recorded: that of the newest job first."""
    newest = select(func.max(findings.c.job)).where(findings.c.behaviour == behaviours.c.number).scalar_subquery()
    query = (
        select(behaviours.c.number)
        .join(settings, settings.c.number == behaviours.c.settings)
        .where(settings.c.task == rule.task, behaviours.c.behaviour == rule.behaviour)
        .order_by(newest.desc().nulls_last(), behaviours.c.found.desc(), behaviours.c.number.desc())
    )
    return entries(connection, list(connection.scalars(query)))


def finders(connection: Connection, rule: RuleRecord, context: str) -> list[Finder]:
    """The jobs that found a rule's behaviour in a context: those that reported it first, then the newest."""
    newest = (
        select(findings.c.job)
        .join(behaviours, behaviours.c.number == findings.c.behaviour)
        .join(settings, settings.c.number == behaviours.c.settings)
        .where(settings.c.digest == context, behaviours.c.behaviour == rule.behaviour)
        .order_by(findings.c.job.desc())
        .limit(FINDERS_LOOKED_AT)
        .subquery()
    )
    reports = case((results.c.result["reported", "behaviour"].as_string() == rule.behaviour, 1), else_=0)
    query = (
        select(jobs.c.id, jobs.c.spec, studies.c.id.label("study"), study_jobs.c.configuration)
        .add_columns(results.c.result["reported"].label("reported"))
        .join(newest, newest.c.job == jobs.c.number)
        .outerjoin(results, results.c.job == jobs.c.number)
        .outerjoin(study_jobs, study_jobs.c.job == jobs.c.number)
        .outerjoin(studies, studies.c.number == study_jobs.c.study)
        .order_by(reports.desc(), jobs.c.number.desc())
        .limit(FINDERS_SHOWN)
    )
    return [
        Finder(row.id, row.spec, row.study, row.configuration, row.reported) for row in connection.execute(query).all()
    ]


def begins_with(identity: Any, prefix: str) -> Select[Any]:
    """Up to four ids that begin with `prefix` (an exact match alone), found through the index on any collation."""
    query: Select[Any] = select(identity).limit(4)
    if not is_text(prefix):
        return query.where(false())
    lower = prefix.strip().lower()
    exact = identity == prefix
    between = identity.between(lower, lower + AFTER_HEXADECIMAL)
    is_prefix = between & (func.substr(identity, 1, len(lower)) == lower)
    return query.where(exact | is_prefix if lower else exact)


def entries(connection: Connection, numbers: Sequence[int]) -> list[FoundRule]:
    """The entries of these behaviours, in this order."""
    c = behaviours.c
    newest = (
        select(findings.c.job)
        .where(findings.c.behaviour == c.number)
        .order_by(findings.c.job.desc())
        .limit(JOBS_SHOWN)
        .correlate(behaviours)
        .subquery()
    )
    joined = select(func.aggregate_strings(cast(newest.c.job, String), ",")).scalar_subquery()
    rows: dict[int, Any] = {}
    for chunk in chunks(numbers):
        query = (
            select(rules, c.number.label("place"), c.found, c.outcome, c.best_fitness, c.validation, c.library)
            .add_columns(settings.c.digest, joined.label("found_by"))
            .join(behaviours, c.simplest == rules.c.number)
            .join(settings, settings.c.number == c.settings)
            .where(c.number.in_(chunk))
        )
        rows.update({row.place: row for row in connection.execute(query)})
    found_by = {
        number: sorted(map(int, filter(None, (row.found_by or "").split(","))), reverse=True)
        for number, row in rows.items()
    }
    ids, configurations = _named(connection, sorted({job for numbers in found_by.values() for job in numbers}))
    return [
        FoundRule(
            rule=rule_record(row),
            fitness=None if row.outcome is None else fitness(none_if_lowest(row.best_fitness)),
            outcome=row.outcome,
            validation=row.validation,
            found=row.found,
            jobs=[ids[job] for job in by if job in ids],
            configurations={ids[job]: configurations[job] for job in by if job in configurations},
            context=row.digest,
            library=row.library,
        )
        for row, by in ((rows[number], found_by[number]) for number in numbers if number in rows)
    ]


def _named(connection: Connection, numbers: Sequence[int]) -> tuple[dict[int, str], dict[int, str]]:
    """The ids of jobs by number, and the names of their configurations where they are part of a study."""
    ids: dict[int, str] = {}
    configurations: dict[int, str] = {}
    for chunk in chunks(numbers):
        query = (
            select(jobs.c.number, jobs.c.id, study_jobs.c.configuration)
            .outerjoin(study_jobs, study_jobs.c.job == jobs.c.number)
            .where(jobs.c.number.in_(chunk))
        )
        for row in connection.execute(query):
            ids[row.number] = row.id
            if row.configuration is not None:
                configurations[row.number] = row.configuration
    return ids, configurations


def rule_record(row: Any) -> RuleRecord:
    """A row of `rules` as a record."""
    return RuleRecord(
        row.id, row.task, row.text, row.tokens, row.complexity, row.behaviour, row.known_as, row.known_factor
    )


def own_writing() -> list[Any]:
    """The columns of `candidates` with the rule as the job wrote it, where that differs."""
    return [candidates.c.text.label("own_text"), candidates.c.tokens.label("own_tokens")]


def as_written(row: Any) -> RuleRecord:
    """A row of `rules` with `own_writing`: the rule as the job wrote it."""
    text, tokens = (row.text, row.tokens) if row.own_text is None else (row.own_text, row.own_tokens)
    return RuleRecord(row.id, row.task, text, tokens, row.complexity, row.behaviour, row.known_as, row.known_factor)


def fitness(value: float | None) -> float:
    """A fitness as it was before the database, which has NULL where it was not finite."""
    return -math.inf if value is None else value
