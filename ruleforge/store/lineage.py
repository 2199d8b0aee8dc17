"""Lineage: the candidates that led to a rule. The function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from ruleforge.errors import InputError
from ruleforge.store.database import chunks
from ruleforge.store.records import Lineage, LineageNode, RuleRecord
from ruleforge.store.rules import as_written, fitness, own_writing
from ruleforge.store.schema import candidates, jobs, rules


def lineage(connection: Connection, rule: RuleRecord, depth: int) -> Lineage:
    """The rule as the first job that has it asked for it, and its ancestors in that job up to `depth` steps away."""
    if depth < 0:
        raise InputError(f"expected a depth of 0 or more, and {depth} came", pointer="/depth")
    first = (
        select(candidates.c.job, jobs.c.id)
        .join(rules, rules.c.number == candidates.c.rule)
        .join(jobs, jobs.c.number == candidates.c.job)
        .where(rules.c.id == rule.id)
        .order_by(candidates.c.number)
        .limit(1)
    )
    job = connection.execute(first).one_or_none()
    if job is None:
        return Lineage(None, [], [], complete=True)
    nodes: dict[str, LineageNode] = {}
    edges: list[tuple[str, str]] = []
    parents: dict[str, tuple[str, ...]] = {}
    wanted, steps = [rule.id], 0
    while wanted and steps <= depth:
        found = {row.id: row for row in _first_askings(connection, job.job, wanted)}
        here = [id for id in wanted if id in found]
        for id in here:
            row = found[id]
            nodes[id] = LineageNode(as_written(row), fitness(row.fitness), row.outcome, row.generation, row.origin)
            parents[id] = tuple(dict.fromkeys(row.parents or ()))
            edges += [(parent, id) for parent in parents[id]]
        wanted = list(dict.fromkeys(parent for id in here for parent in parents[id] if parent not in nodes))
        steps += 1
    complete = all(parent in nodes for parent, _ in edges)
    return Lineage(job.id, list(nodes.values()), [edge for edge in edges if edge[0] in nodes], complete)


def _first_askings(connection: Connection, job: int, ids: Sequence[str]) -> list[Any]:
    """The candidates of these rules in the job, of each rule the one that was asked for first."""
    first: dict[str, Any] = {}
    for chunk in chunks(sorted(ids)):
        query = (
            select(rules, *own_writing(), candidates.c.generation, candidates.c.origin, candidates.c.parents)
            .add_columns(candidates.c.fitness, candidates.c.outcome)
            .join(candidates, candidates.c.rule == rules.c.number)
            .where(candidates.c.job == job, rules.c.id.in_(chunk))
            .order_by(candidates.c.generation, candidates.c.position)
        )
        for row in connection.execute(query):
            first.setdefault(row.id, row)
    return list(first.values())
