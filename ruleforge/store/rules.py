"""Rules, the behaviours that group them, and their scores. Every function works inside the caller's transaction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select, update

from ruleforge.errors import InputError
from ruleforge.store.database import chunks, finite, finite_json, insert_new, numbered, numbers
from ruleforge.store.records import FoundRule, RuleRecord, ScoreRecord
from ruleforge.store.schema import behaviours, candidates, contexts, instances, jobs, rules, scores

# Ids are hexadecimal, so every id that begins with p lies between p and pg.
AFTER_HEXADECIMAL = "g"
JOBS_SHOWN = 5


def record_rules(connection: Connection, records: Iterable[RuleRecord]) -> dict[str, int]:
    """Insert the rules that are new, and return the key of each by its id."""
    by_id = {record.id: record for record in records}
    known = numbers(connection, rules.c.id, by_id)
    new = [record for record in by_id.values() if record.id not in known]
    if new:
        insert_new(connection, rules, [_rule_row(record) for record in new])
        known |= numbers(connection, rules.c.id, [record.id for record in new])
        _record_simplest(connection, new, known)
    _record_names(connection, by_id)
    return known


def _rule_row(record: RuleRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "task": record.task,
        "behaviour": record.behaviour,
        "complexity": int(record.complexity),
        "known_as": record.known_as,
        "known_factor": finite(record.known_factor),
        "text": record.text,
        "tokens": [list(expression) for expression in record.tokens],
    }


def _record_names(connection: Connection, by_id: Mapping[str, RuleRecord]) -> None:
    """A later version may know the name of a rule that was recorded without one."""
    for chunk in chunks(sorted(by_id)):
        query = select(rules.c.id, rules.c.known_as, rules.c.known_factor).where(rules.c.id.in_(chunk))
        for row in connection.execute(query).all():
            now = by_id[row.id]
            if (now.known_as, finite(now.known_factor)) != (row.known_as, row.known_factor):
                changed = update(rules).where(rules.c.id == row.id)
                connection.execute(changed.values(known_as=now.known_as, known_factor=finite(now.known_factor)))


def _record_simplest(connection: Connection, new: Sequence[RuleRecord], known: Mapping[str, int]) -> None:
    """Keep the simplest text of each behaviour: the fewest nodes, the shortest, the first in the alphabet."""

    def order(record: RuleRecord) -> tuple[int, int, str]:
        return record.complexity, len(record.text), record.text

    groups: dict[tuple[str, str], RuleRecord] = {}
    for record in sorted(new, key=order, reverse=True):
        groups[record.task, record.behaviour] = record
    # Every writer in the same order, so that two never wait for each other.
    rows = [
        {"task": task, "behaviour": behaviour, "simplest": known[record.id]}
        for (task, behaviour), record in sorted(groups.items())
    ]
    insert_new(connection, behaviours, rows)
    for chunk in chunks(sorted(groups)):
        query = (
            select(
                behaviours.c.task, behaviours.c.behaviour, rules.c.complexity, func.length(rules.c.text), rules.c.text
            )
            .join(rules, rules.c.number == behaviours.c.simplest)
            .where(_among(chunk))
        )
        for task, behaviour, *recorded in connection.execute(query).all():
            simplest = groups.get((task, behaviour))
            if simplest is not None and order(simplest) < tuple(recorded):
                here = (behaviours.c.task == task, behaviours.c.behaviour == behaviour)
                connection.execute(update(behaviours).where(*here).values(simplest=known[simplest.id]))


def _among(groups: Sequence[tuple[str, str]]) -> Any:
    """The rows of these (task, behaviour), and perhaps more; by both columns, since the key begins with the task."""
    tasks, digests = ({group[i] for group in groups} for i in (0, 1))
    return behaviours.c.task.in_(sorted(tasks)) & behaviours.c.behaviour.in_(sorted(digests))


def record_best(connection: Connection, candidate_numbers: Sequence[int]) -> None:
    """Let each of these candidates, scored or validated just now, become the best of its behaviour if it is."""
    best: dict[tuple[str, str], Any] = {}
    for chunk in chunks(candidate_numbers):
        query = (
            select(
                candidates.c.number, rules.c.task, rules.c.behaviour, candidates.c.validation_mean, candidates.c.fitness
            )
            .join(rules, rules.c.number == candidates.c.rule)
            .where(candidates.c.number.in_(chunk))
            .order_by(candidates.c.number)
        )
        for row in connection.execute(query):
            held = best.get((row.task, row.behaviour))
            if held is None or _rank(row.validation_mean, row.fitness) > _rank(held.validation_mean, held.fitness):
                best[row.task, row.behaviour] = row
    better = []
    for groups in chunks(sorted(best)):
        held_best = (
            select(behaviours)
            .where(_among(groups))
            .order_by(behaviours.c.task, behaviours.c.behaviour)
            .with_for_update()
        )
        for group in connection.execute(held_best):
            new = best.get((group.task, group.behaviour))
            if new is None:
                continue
            rank = _rank(new.validation_mean, new.fitness)
            if group.best is None or rank > _rank(group.best_validation, group.best_fitness):
                better.append({"of_task": group.task, "of_behaviour": group.behaviour, **_best_columns(new)})
    if better:
        here = (behaviours.c.task == bindparam("of_task"), behaviours.c.behaviour == bindparam("of_behaviour"))
        connection.execute(update(behaviours).where(*here), better)


def _best_columns(row: Any) -> dict[str, Any]:
    return {"best": row.number, "best_validation": row.validation_mean, "best_fitness": row.fitness}


def _rank(validation: float | None, fitness: float | None) -> tuple[float, float]:
    return -math.inf if validation is None else validation, -math.inf if fitness is None else fitness


def record_scores(connection: Connection, records: Sequence[ScoreRecord]) -> None:
    """Insert the scores that are new; a score that is there stays as it is. The rules must be recorded already."""
    if not records:
        return
    rule_numbers = numbers(connection, rules.c.id, (record.rule_id for record in records))
    unknown = next((record.rule_id for record in records if record.rule_id not in rule_numbers), None)
    if unknown is not None:
        raise InputError(f"a score names the rule {unknown!r}, which is not in the record: record the rule with it")
    context_numbers = numbered(connection, contexts.c.digest, (record.context for record in records))
    instance_numbers = numbered(connection, instances.c.key, (record.instance for record in records))
    rows = [
        {
            "context": context_numbers[record.context],
            "rule": rule_numbers[record.rule_id],
            "instance": instance_numbers[record.instance],
            "fitness": finite(record.fitness),
            "outcome": str(record.outcome),
            "metrics": finite_json(record.metrics) or None,
        }
        for record in records
    ]
    insert_new(connection, scores, rows)


def cached_scores(
    connection: Connection, context: str, rule_ids: Sequence[str], instance_keys: Sequence[str]
) -> dict[tuple[str, str], ScoreRecord]:
    """The recorded scores of these rules on these instances, by (rule id, instance key)."""
    context_number = numbers(connection, contexts.c.digest, [context]).get(context)
    instance_numbers = numbers(connection, instances.c.key, instance_keys)
    if context_number is None or not instance_numbers:
        return {}
    rule_numbers = numbers(connection, rules.c.id, rule_ids)
    rule_ids_of = {number: id for id, number in rule_numbers.items()}
    keys_of = {number: key for key, number in instance_numbers.items()}
    found = {}
    for rule_chunk in chunks(sorted(rule_ids_of)):
        for instance_chunk in chunks(sorted(keys_of)):
            query = select(scores).where(
                scores.c.context == context_number,
                scores.c.rule.in_(rule_chunk),
                scores.c.instance.in_(instance_chunk),
            )
            for row in connection.execute(query):
                rule_id, key = rule_ids_of[row.rule], keys_of[row.instance]
                found[rule_id, key] = ScoreRecord(
                    rule_id, context, key, fitness(row.fitness), row.outcome, row.metrics or {}
                )
    return found


def best_rules(connection: Connection, task: str | None, top: int) -> list[FoundRule]:
    """One entry per behaviour that a job found, shown by its simplest text; best first."""
    query = (
        select(rules, *_measured())
        .select_from(behaviours)
        .join(rules, rules.c.number == behaviours.c.simplest)
        .join(candidates, candidates.c.number == behaviours.c.best)
        .order_by(
            behaviours.c.best_validation.desc().nulls_last(),
            behaviours.c.best_fitness.desc().nulls_last(),
            behaviours.c.simplest,
        )
        .limit(top)
    )
    if task is not None:
        query = query.where(behaviours.c.task == task)
    return [_found(connection, row, row) for row in connection.execute(query).all()]


def find_rule(connection: Connection, prefix: str, record: str) -> FoundRule:
    """The rule whose id begins with `prefix`. Raises InputError, naming the `record`, if there is none or several."""
    ids = list(connection.scalars(begins_with(rules.c.id, prefix)))
    if not ids:
        raise InputError(f"no rule {prefix!r} in {record}: `ruleforge rules` lists them")
    if len(ids) > 1:
        raise InputError(f"several rules begin with {prefix!r} ({', '.join(sorted(ids)[:3])}, …): write more of the id")
    row = connection.execute(select(rules).where(rules.c.id == ids[0])).one()
    # Validated ones first, among these the very text that was asked for.
    best = (
        select(*_measured())
        .join(rules, rules.c.number == candidates.c.rule)
        .where(rules.c.task == row.task, rules.c.behaviour == row.behaviour)
        .order_by(
            candidates.c.validation_n.is_not(None).desc(),
            (rules.c.number == row.number).desc(),
            candidates.c.validation_mean.desc().nulls_last(),
            candidates.c.fitness.desc().nulls_last(),
            candidates.c.number,
        )
        .limit(1)
    )
    return _found(connection, row, connection.execute(best).one_or_none())


def begins_with(identity: Any, prefix: str) -> Select[Any]:
    """Up to four ids that begin with `prefix` (an exact match alone), found through the index on any collation."""
    lower = prefix.strip().lower()
    exact = identity == prefix
    between = identity.between(lower, lower + AFTER_HEXADECIMAL)
    is_prefix = between & (func.substr(identity, 1, len(lower)) == lower)
    query: Select[Any] = select(identity).where(exact | is_prefix if lower else exact).limit(4)
    return query


def _measured() -> list[Any]:
    c = candidates.c
    validation = [c.validation_aggregate, c.validation_mean, c.validation_standard_error, c.validation_n]
    return [c.fitness, c.outcome, *validation]


def _found(connection: Connection, rule: Any, measured: Any | None) -> FoundRule:
    in_jobs = (
        select(candidates.c.job)
        .join(rules, rules.c.number == candidates.c.rule)
        .where(rules.c.task == rule.task, rules.c.behaviour == rule.behaviour)
        .distinct()
        .subquery()
    )
    count = connection.scalars(select(func.count()).select_from(in_jobs)).one()
    newest = select(jobs.c.id).where(jobs.c.number.in_(select(in_jobs.c.job))).order_by(jobs.c.number.desc())
    return FoundRule(
        rule=rule_record(rule),
        fitness=None if measured is None else fitness(measured.fitness),
        outcome=None if measured is None else measured.outcome,
        validation=None if measured is None or measured.validation_n is None else _validation(measured),
        found=count,
        jobs=list(connection.scalars(newest.limit(JOBS_SHOWN))),
    )


def _validation(row: Any) -> dict[str, float | int | None]:
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


def fitness(value: float | None) -> float:
    """A fitness as it was before the database, which has NULL where it was not finite."""
    return -math.inf if value is None else value
