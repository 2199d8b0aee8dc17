"""Behaviours: what groups rules that do the same, with the simplest of them and the best that was measured.

Every function works inside the caller's transaction, and the writing ones one at a time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from ruleforge.store.bulk import insert_numbered, insert_rows
from ruleforge.store.database import chunks, finite
from ruleforge.store.records import RuleRecord
from ruleforge.store.schema import behaviours, findings, rules

# Stands for no number in `best_validation` and `best_fitness`.
LOWEST = -sys.float_info.max

Key = tuple[str, str]  # task, behaviour


@dataclass(frozen=True)
class Recorded:
    """A rule as the record has it: its number, and what of it was written first and stays."""

    number: int
    task: str
    behaviour: str
    text: str


@dataclass(frozen=True)
class Finding:
    """What a job measured of a behaviour. validation: the columns `validation_…`, where there was one."""

    key: Key
    fitness: float | None
    outcome: str
    validation: Mapping[str, Any] | None = None

    @property
    def rank(self) -> tuple[float, float]:
        """By what the best is chosen: the validation mean, then the training fitness."""
        validation = (self.validation or {}).get("validation_mean")
        return LOWEST if validation is None else validation, LOWEST if self.fitness is None else self.fitness


@dataclass
class _Group:
    """What one transaction adds to a behaviour. simplest: the simplest new rule and its number."""

    simplest: tuple[RuleRecord, int] | None = None
    best: Finding | None = None
    found: bool = False


def record_behaviours(
    connection: Connection,
    new: Iterable[tuple[RuleRecord, int]],
    measured: Iterable[Finding] = (),
    job: int | None = None,
) -> None:
    """Take in rules that were recorded just now (with their numbers), and what a job measured.

    job: its number, if it found these behaviours; None if it is known to have found them before.
    """
    groups: dict[Key, _Group] = {}
    for finding in measured:
        group = groups.setdefault(finding.key, _Group())
        group.found = job is not None
        if group.best is None or finding.rank > group.best.rank:
            group.best = finding
    for record, number in new:
        group = groups.setdefault((record.task, record.behaviour), _Group())
        if group.simplest is None or _order(record) < _order(group.simplest[0]):
            group.simplest = (record, number)
    held = _held(connection, list(groups))
    added = {key: group for key, group in groups.items() if key not in held}
    numbers = _add(connection, added)
    _improve(connection, [(held[key], group) for key, group in sorted(groups.items()) if key in held])
    if job is not None:
        _find(connection, job, [numbers[key] for key, group in added.items() if group.found])
        known = [held[key].number for key, group in groups.items() if key in held and group.found]
        _find_again(connection, job, known)


def _order(record: RuleRecord) -> tuple[int, int, str]:
    """The simplest text: the fewest nodes, the shortest, the first in the alphabet."""
    return record.complexity, len(record.text), record.text


def _held(connection: Connection, keys: Sequence[Key]) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for chunk in chunks(sorted(keys)):
        tasks, digests = ({key[i] for key in chunk} for i in (0, 1))
        # By both columns, since the index begins with the task; it may give more than these.
        among = behaviours.c.task.in_(sorted(tasks)) & behaviours.c.behaviour.in_(sorted(digests))
        c = behaviours.c
        query = (
            select(c.number, c.task, c.behaviour, c.complexity, c.outcome, c.best_validation, c.best_fitness)
            .add_columns(rules.c.text.label("simplest_text"))
            .join(rules, rules.c.number == c.simplest)
            .where(among)
        )
        found.update({(row.task, row.behaviour): row for row in connection.execute(query)})
    return found


def _add(connection: Connection, groups: Mapping[Key, _Group]) -> dict[tuple[Any, ...], int]:
    """New behaviours, in the order of being found; their numbers."""
    rows = []
    for (task, behaviour), group in groups.items():
        assert group.simplest is not None  # a rule is recorded together with its behaviour
        best = _NOTHING if group.best is None else _best_columns(group.best)
        own = _simplest_columns(*group.simplest)
        rows.append((task, behaviour, int(group.found), *own.values(), *best.values()))
    return insert_numbered(connection, behaviours, _COLUMNS, rows, ("task", "behaviour"))


def _improve(connection: Connection, groups: Sequence[tuple[Any, _Group]]) -> None:
    simpler, better = [], []
    for held, group in groups:
        if group.simplest is not None:
            before = (held.complexity, len(held.simplest_text), held.simplest_text)
            if _order(group.simplest[0]) < before:
                simpler.append({"of": held.number, **_simplest_columns(*group.simplest)})
        if group.best is not None:
            rank = (held.best_validation, held.best_fitness)
            if held.outcome is None or group.best.rank > rank:
                better.append({"of": held.number, **_best_columns(group.best)})
    for rows in (simpler, better):
        if rows:
            connection.execute(update(behaviours).where(behaviours.c.number == bindparam("of")), rows)


def _find(connection: Connection, job: int, numbers: Sequence[int]) -> None:
    insert_rows(connection, findings, ("behaviour", "job"), [(number, job) for number in sorted(numbers)])


def _find_again(connection: Connection, job: int, numbers: Sequence[int]) -> None:
    """These behaviours were known; count the job at those that it had not found before."""
    for chunk in chunks(sorted(numbers)):
        query = select(findings.c.behaviour).where(findings.c.behaviour.in_(chunk), findings.c.job == job)
        mine = set(connection.scalars(query))
        more = [number for number in chunk if number not in mine]
        _find(connection, job, more)
        if more:
            counted = update(behaviours).where(behaviours.c.number == bindparam("of"))
            connection.execute(counted.values(found=behaviours.c.found + 1), [{"of": number} for number in more])


def _simplest_columns(record: RuleRecord, number: int) -> dict[str, Any]:
    values = (number, int(record.complexity), known_name(record.known_as), searchable(record.text))
    return dict(zip(_SIMPLEST, values, strict=True))


def _best_columns(finding: Finding) -> dict[str, Any]:
    validation, fitness = finding.rank
    given = finding.validation or {}
    kept = ("validation_aggregate", "validation_standard_error", "validation_n")
    return {
        "best_validation": validation,
        "best_fitness": fitness,
        "outcome": finding.outcome,
        **{name: given.get(name) for name in kept},
    }


_NOTHING = {**_best_columns(Finding(("", ""), None, "")), "outcome": None}
_SIMPLEST = ("simplest", "complexity", "known", "text")
_COLUMNS = ("task", "behaviour", "found", *_SIMPLEST, *_NOTHING)


def rename(connection: Connection, rule_numbers: Mapping[int, str | None]) -> None:
    """The names of these rules have changed: change them where a rule stands for its behaviour."""
    for number, known_as in sorted(rule_numbers.items()):
        theirs = (
            select(behaviours.c.number)
            .join(rules, (rules.c.task == behaviours.c.task) & (rules.c.behaviour == behaviours.c.behaviour))
            .where(rules.c.number == number, behaviours.c.simplest == number)
        )
        changed = update(behaviours).where(behaviours.c.number.in_(theirs.scalar_subquery()))
        connection.execute(changed.values(known=known_name(known_as)))


def known_name(known_as: str | None) -> str | None:
    """The name in `known_as`, which may go on with " = " and the formula."""
    return None if known_as is None else known_as.partition(" = ")[0]


def searchable(text: str) -> str:
    """A text as it is searched: no spaces, small letters."""
    return "".join(text.split()).lower()


def none_if_lowest(value: float) -> float | None:
    """A number of the best candidate, None if there is none."""
    return None if value == LOWEST else value


def validation_columns(validation: Mapping[str, Any]) -> dict[str, Any]:
    """A validation {"aggregate", "mean", "standard_error", "n"} as the columns of candidates and behaviours."""
    numbers = {f"validation_{name}": finite(validation[name]) for name in ("aggregate", "mean", "standard_error")}
    return {**numbers, "validation_n": int(validation["n"])}
