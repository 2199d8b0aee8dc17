"""Scores: one rule on one instance, kept once. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from ruleforge.errors import InputError
from ruleforge.store.bulk import insert_rows, json_text, lasting_numbers, numbered, numbers
from ruleforge.store.database import chunks, finite, finite_json
from ruleforge.store.records import ScoreRecord
from ruleforge.store.rules import fitness
from ruleforge.store.schema import contexts, instances, rules, scores


def record_scores(
    connection: Connection, records: Sequence[ScoreRecord], rule_numbers: Mapping[str, int] | None = None
) -> None:
    """Insert the scores that are new; a score that is there stays as it is. The rules must be recorded already.

    rule_numbers: of rules that the caller has recorded.
    """
    if not records:
        return
    known = dict(rule_numbers or {})
    further = {record.rule_id for record in records} - known.keys()
    if further:
        known |= numbers(connection, rules.c.id, further)
        unknown = sorted(further - known.keys())
        if unknown:
            raise InputError(
                f"a score names the rule {unknown[0]!r}, which is not in the record: record the rule with it"
            )
    context_numbers = numbered(connection, contexts.c.digest, {record.context for record in records})
    instance_numbers = numbered(connection, instances.c.key, {record.instance for record in records})
    rows = [
        (
            context_numbers[record.context],
            known[record.rule_id],
            instance_numbers[record.instance],
            finite(record.fitness),
            str(record.outcome),
            json_text(finite_json(record.metrics)) if record.metrics else None,
        )
        for record in records
    ]
    insert_rows(connection, scores, _COLUMNS, rows, new=True)


_COLUMNS = ("context", "rule", "instance", "fitness", "outcome", "metrics")


def cached_scores(
    connection: Connection, context: str, rule_ids: Sequence[str], instance_keys: Sequence[str]
) -> dict[tuple[str, str], ScoreRecord]:
    """The recorded scores of these rules on these instances, by (rule id, instance key)."""
    context_number = lasting_numbers(connection, contexts.c.digest, [context]).get(context)
    instance_numbers = lasting_numbers(connection, instances.c.key, instance_keys)
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
