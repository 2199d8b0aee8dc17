"""Behaviours: what groups rules of one context that do the same, with the simplest of them and the best measured.

Every function works inside the caller's transaction, and the writing ones one at a time.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from ruleforge.store.bulk import insert_numbered, insert_rows, json_text
from ruleforge.store.database import chunks, finite, finite_json
from ruleforge.store.schema import behaviours, findings, rules, settings

# Stands for no number in `best_library`, `best_validation` and `best_fitness`.
LOWEST = -sys.float_info.max
# Stands in `best_library` for a score that is not finite: after every other, before those that have none.
NOT_FINITE = math.nextafter(LOWEST, 0.0)


@dataclass(frozen=True)
class Recorded:
    """A rule as the record has it: its number, and what of it was written first and stays."""

    number: int
    task: str
    behaviour: str
    text: str
    complexity: int
    known_as: str | None


@dataclass(frozen=True)
class Finding:
    """What a job measured of a rule. fitness: None if it was not finite; validation: the summary, where there is one.

    outcome: None where no job asked for the rule; library: the summary on the library, where there is one.
    """

    rule: Recorded
    fitness: float | None = None
    outcome: str | None = None
    validation: Mapping[str, Any] | None = None
    library: Mapping[str, Any] | None = None

    @property
    def rank(self) -> tuple[float, float]:
        """By what the best is chosen: validation, then the training fitness. Never the library."""
        validation = finite((self.validation or {}).get("aggregate"))
        return LOWEST if validation is None else validation, LOWEST if self.fitness is None else self.fitness

    @property
    def order(self) -> tuple[int, int, str]:
        """By what the simplest is chosen: the fewest nodes, the shortest, the first in the alphabet."""
        return self.rule.complexity, len(self.rule.text), self.rule.text


@dataclass
class _Group:
    """What one transaction adds to a behaviour."""

    simplest: Recorded
    order: tuple[int, int, str]
    best: Finding | None = None
    library: Mapping[str, Any] | None = None


def record_behaviours(
    connection: Connection, of_settings: int, measured: Iterable[Finding], job: int | None = None
) -> None:
    """Take in what was measured of recorded rules in a context, by its number in `settings`.

    job: its number, if it found these behaviours just now; None if it is known to have found them, or nobody did.
    """
    groups: dict[str, _Group] = {}
    for finding in measured:
        group = groups.get(finding.rule.behaviour)
        if group is None:
            group = groups[finding.rule.behaviour] = _Group(finding.rule, finding.order)
        elif finding.order < group.order:
            group.simplest, group.order = finding.rule, finding.order
        if finding.outcome is not None and (group.best is None or finding.rank > group.best.rank):
            group.best = finding
        group.library = group.library or finding.library
    held = _held(connection, of_settings, list(groups))
    added = {behaviour: group for behaviour, group in groups.items() if behaviour not in held}
    numbers = _add(connection, of_settings, added, found=job is not None)
    _improve(connection, [(held[key], group) for key, group in sorted(groups.items()) if key in held])
    if job is not None:
        _find(connection, job, [numbers[of_settings, behaviour] for behaviour in added])
        _find_again(connection, job, [held[behaviour].number for behaviour in groups if behaviour in held])


def _held(connection: Connection, of_settings: int, keys: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    c = behaviours.c
    for chunk in chunks(sorted(keys)):
        query = (
            select(c.number, c.behaviour, c.complexity, c.outcome, c.best_library, c.best_validation, c.best_fitness)
            .add_columns(rules.c.text.label("simplest_text"))
            .join(rules, rules.c.number == c.simplest)
            .where(c.settings == of_settings, c.behaviour.in_(chunk))
        )
        found.update({row.behaviour: row for row in connection.execute(query)})
    return found


def _add(
    connection: Connection, of_settings: int, groups: Mapping[str, _Group], found: bool
) -> dict[tuple[Any, ...], int]:
    """New behaviours, in the order of being found; their numbers by (settings, behaviour)."""
    rows = []
    for behaviour, group in groups.items():
        best = _NOTHING if group.best is None else _best_columns(group.best)
        library = _library_columns(group.library)
        own = _simplest_columns(group.simplest)
        rows.append((of_settings, behaviour, int(found), *own.values(), *_as_text(best), *_as_text(library)))
    return insert_numbered(connection, behaviours, _COLUMNS, rows, ("settings", "behaviour"))


def _as_text(columns: Mapping[str, Any]) -> list[Any]:
    """The values as the driver takes them, JSON as text."""
    return [json_text(value) if isinstance(value, dict) else value for value in columns.values()]


def _improve(connection: Connection, groups: Sequence[tuple[Any, _Group]]) -> None:
    simpler, better, ranked = [], [], []
    for held, group in groups:
        if group.order < (held.complexity, len(held.simplest_text), held.simplest_text):
            simpler.append({"of": held.number, **_simplest_columns(group.simplest)})
        if group.best is not None:
            rank = (held.best_validation, held.best_fitness)
            if held.outcome is None or group.best.rank > rank:
                better.append({"of": held.number, **_best_columns(group.best)})
        # The first score on the library stays: a place in a list never moves down, and no better one is chosen.
        if group.library is not None and held.best_library == LOWEST:
            ranked.append({"of": held.number, **_library_columns(group.library)})
    for rows in (simpler, better, ranked):
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


def not_found(connection: Connection, job: int, numbers: Sequence[int]) -> None:
    """A job has not found these behaviours after all; what was measured of them stays."""
    for chunk in chunks(sorted(numbers)):
        mine = (findings.c.job == job) & findings.c.behaviour.in_(chunk)
        counted = behaviours.c.number.in_(select(findings.c.behaviour).where(mine).scalar_subquery())
        connection.execute(update(behaviours).where(counted).values(found=behaviours.c.found - 1))
        connection.execute(delete(findings).where(mine))


def _simplest_columns(rule: Recorded) -> dict[str, Any]:
    values = (rule.number, int(rule.complexity), known_name(rule.known_as), searchable(rule.text))
    return dict(zip(_SIMPLEST, values, strict=True))


def _best_columns(finding: Finding) -> dict[str, Any]:
    validation, fitness = finding.rank
    kept = None if finding.validation is None else finite_json(dict(finding.validation))
    return {"best_validation": validation, "best_fitness": fitness, "outcome": finding.outcome, "validation": kept}


def _library_columns(summary: Mapping[str, Any] | None) -> dict[str, Any]:
    if summary is None:
        return {"best_library": LOWEST, "library": None}
    value = finite(summary["aggregate"])
    return {"best_library": NOT_FINITE if value is None else value, "library": finite_json(dict(summary))}


_NOTHING: dict[str, Any] = {
    "best_validation": LOWEST,
    "best_fitness": LOWEST,
    "outcome": None,
    "validation": None,
}
_SIMPLEST = ("simplest", "complexity", "known", "text")
_COLUMNS = ("settings", "behaviour", "found", *_SIMPLEST, *_NOTHING, "best_library", "library")


def rename(connection: Connection, rule_numbers: Mapping[int, str | None]) -> None:
    """The names of these rules have changed: change them where a rule stands for its behaviour."""
    for number, known_as in sorted(rule_numbers.items()):
        theirs = (
            select(behaviours.c.number)
            .join(settings, settings.c.number == behaviours.c.settings)
            .join(rules, (rules.c.task == settings.c.task) & (rules.c.behaviour == behaviours.c.behaviour))
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
