"""Rules as they were written. Every function works inside the caller's transaction."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, false, func, select, update

from ruleforge.errors import AmbiguousError, InputError
from ruleforge.store.behaviours import Recorded, none_if_lowest, rename
from ruleforge.store.bulk import insert_numbered, json_text
from ruleforge.store.database import chunks, finite, is_text
from ruleforge.store.records import FoundRule, RuleRecord
from ruleforge.store.schema import behaviours, candidates, findings, jobs, rules

# Ids are hexadecimal, so every id that begins with p lies between p and pg.
AFTER_HEXADECIMAL = "g"
JOBS_SHOWN = 5


def record_rules(
    connection: Connection, records: Iterable[RuleRecord]
) -> tuple[dict[str, Recorded], list[tuple[RuleRecord, int]]]:
    """Insert the rules that are new: every rule as it is recorded by its id, and the new ones with their numbers.

    One transaction at a time. The new ones have to be taken into their behaviours by the caller.
    """
    by_id: dict[str, RuleRecord] = {}
    for record in records:
        by_id.setdefault(record.id, record)
    recorded: dict[str, Recorded] = {}
    renamed: dict[int, str | None] = {}
    for chunk in chunks(sorted(by_id)):
        for row in connection.execute(_RECORDED.where(rules.c.id.in_(chunk))).all():
            recorded[row.id] = Recorded(row.number, row.task, row.behaviour, row.text)
            # A later version may know the name of a rule that was recorded without one.
            now = by_id[row.id]
            names = {"known_as": now.known_as, "known_factor": finite(now.known_factor)}
            if (row.known_as, row.known_factor) != tuple(names.values()):
                connection.execute(update(rules).where(rules.c.number == row.number).values(names))
                renamed[row.number] = now.known_as
    rename(connection, renamed)
    new = [record for record in by_id.values() if record.id not in recorded]
    if not new:
        return recorded, []
    numbers = insert_numbered(connection, rules, _COLUMNS, [_rule_row(record) for record in new], ("id",))
    for record in new:
        recorded[record.id] = Recorded(numbers[record.id,], record.task, record.behaviour, record.text)
    return recorded, [(record, numbers[record.id,]) for record in new]


_RECORDED = select(
    rules.c.number, rules.c.id, rules.c.task, rules.c.behaviour, rules.c.text, rules.c.known_as, rules.c.known_factor
)


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
    its = (behaviours.c.task == row.task, behaviours.c.behaviour == row.behaviour)
    group: Any = connection.execute(select(behaviours).where(*its)).one_or_none()
    if group is None:  # as for a rule whose family's name was changed in the record: it is shown, unmeasured
        return FoundRule(rule=rule_record(row), fitness=None, outcome=None, validation=None, found=0, jobs=[])
    own = (
        select(candidates.c.fitness, candidates.c.outcome, *validation_figures())
        .where(candidates.c.rule == row.number)
        .order_by(
            candidates.c.validation_n.is_not(None).desc(),
            candidates.c.validation_mean.desc().nulls_last(),
            candidates.c.fitness.desc().nulls_last(),
            candidates.c.number,
        )
        .limit(1)
    )
    of_this: Any = connection.execute(own).one_or_none()
    # What was measured of this very text, unless only another of the same behaviour was validated.
    if of_this is not None and (of_this.validation_n is not None or group.validation_n is None):
        measured = {"fitness": fitness(of_this.fitness), "outcome": of_this.outcome, "validation": validation(of_this)}
    else:
        measured = best_figures(group)
    newest = (
        select(jobs.c.id)
        .join(findings, findings.c.job == jobs.c.number)
        .where(findings.c.behaviour == group.number)
        .order_by(jobs.c.number.desc())
        .limit(JOBS_SHOWN)
    )
    return FoundRule(rule=rule_record(row), **measured, found=group.found, jobs=list(connection.scalars(newest)))


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


def best_figures(row: Any) -> dict[str, Any]:
    """Fitness, outcome and validation that a row of `behaviours` keeps, as a FoundRule has them."""
    kept = None
    if row.validation_n is not None:
        kept = {
            "aggregate": row.validation_aggregate,
            "mean": none_if_lowest(row.best_validation),
            "standard_error": row.validation_standard_error,
            "n": row.validation_n,
        }
    value = None if row.outcome is None else fitness(none_if_lowest(row.best_fitness))
    return {"fitness": value, "outcome": row.outcome, "validation": kept}


def validation_figures() -> list[Any]:
    """The columns of `candidates` that `validation` reads."""
    c = candidates.c
    return [c.validation_aggregate, c.validation_mean, c.validation_standard_error, c.validation_n]


def validation(row: Any) -> dict[str, float | int | None] | None:
    """The validation of a row of `candidates`."""
    if row.validation_n is None:
        return None
    return {
        "aggregate": row.validation_aggregate,
        "mean": row.validation_mean,
        "standard_error": row.validation_standard_error,
        "n": row.validation_n,
    }


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
