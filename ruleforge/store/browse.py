"""Pages of rules, one entry per behaviour. Every function works inside the caller's transaction.

A page is a short walk of an index that begins with the task: for each task the rows after the cursor, merged. Where
filters leave so few that a walk of some thousand rows does not fill the page, all behaviours are looked through once.
A place in an order never moves down (fitness and found counts only rise, the simplest rule only becomes simpler), so
that what comes meanwhile makes no entry appear on two pages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any

from sqlalchemy import Connection, String, and_, cast, func, or_, select, true

from ruleforge.errors import InputError, unknown_name
from ruleforge.store.behaviours import known_name, searchable
from ruleforge.store.cursors import Place, checked_limit, cursor, place
from ruleforge.store.database import chunks, is_text
from ruleforge.store.records import SORTS, FoundRule, Page, RuleQuery
from ruleforge.store.rules import JOBS_SHOWN, best_figures, rule_record
from ruleforge.store.schema import behaviours, findings, jobs, rules

# So many rows of an index are looked at, for each task, before all behaviours are looked through.
WALK = 2000
MAX_COMPLEXITY = 2**31 - 1
ANY, NONE = "any", "none"

_Order = tuple[tuple[str, bool], ...]
_BEST = (("best_validation", True), ("best_fitness", True), ("number", False))
# By what each order goes: (column, whether the greatest comes first); the index of the same name has it.
_ORDERS: dict[str, _Order] = {
    "fitness": _BEST,
    "complexity": (("complexity", False), *_BEST),
    "found": (("found", True), *_BEST),
    "newest": (("number", True),),
}
assert tuple(_ORDERS) == SORTS


def browse(connection: Connection, query: RuleQuery, after: str | None, limit: int) -> Page[FoundRule]:
    """A page of the behaviours that jobs found, each shown by its simplest rule. Raises InputError for a bad query."""
    if query.sort not in _ORDERS:
        raise InputError(unknown_name("sort", query.sort, SORTS), pointer="/sort")
    if query.min_fitness is not None and math.isnan(query.min_fitness):
        raise InputError("expected a number as the least fitness, and nan came", pointer="/min_fitness")
    listing = f"rules {astuple(query)}"
    order = _ORDERS[query.sort]
    start = place(listing, after, [behaviours.c[name].type.python_type for name, _ in order])
    limit = checked_limit(limit)
    if not all(is_text(text) for text in (query.task, query.known, query.text) if text is not None):
        return Page([], None)
    places = _places(connection, query, start, limit + 1)
    more = cursor(listing, places[limit - 1]) if len(places) > limit else None
    return Page(_entries(connection, [int(place[-1]) for place in places[:limit]]), more)


def _places(connection: Connection, query: RuleQuery, start: Place | None, wanted: int) -> list[Place]:
    """The places of the first so many rows after the cursor, in order."""
    found: list[Place] = []
    for task in _tasks(connection) if query.task is None else [query.task]:
        of_task = _walk(connection, query, task, start, wanted)
        if of_task is None:
            return _looked_through(connection, query, start, wanted)
        found += of_task
    return sorted(found, key=lambda place: _sorted_by(_ORDERS[query.sort], place))[:wanted]


def _tasks(connection: Connection) -> Iterator[str]:
    """The tasks that there are, each found by one step in an index."""
    c, task = behaviours.c, ""
    while (after := connection.scalars(select(func.min(c.task)).where(c.task > task)).one()) is not None:
        task = after
        yield task


def _walk(connection: Connection, query: RuleQuery, task: str, start: Place | None, wanted: int) -> list[Place] | None:
    """The first so many places of a task after the cursor; None if a short walk does not find them."""
    order = _ORDERS[query.sort]
    filtered = bool(_conditions(query, behaviours.c, connection))
    found: list[Place] = []
    left = WALK
    for piece in _after(order, start):
        here = select(behaviours).where(behaviours.c.task == task, piece).order_by(*_directions(order, behaviours.c))
        # Bounded inside, filtered outside.
        walked = here.limit(left if filtered else None).subquery()
        rows = (
            select(*(walked.c[name] for name, _ in order))
            .where(walked.c.found > 0, *_conditions(query, walked.c, connection))
            .order_by(*_directions(order, walked.c))
            .limit(wanted - len(found))
        )
        found += [tuple(row) for row in connection.execute(rows)]
        if len(found) == wanted:
            break
        if filtered:
            left -= connection.scalars(select(func.count()).select_from(walked)).one()
            if left <= 0:
                return None
    return found


def _looked_through(connection: Connection, query: RuleQuery, start: Place | None, wanted: int) -> list[Place]:
    """The same from one look at every behaviour, in the order in which they lie."""
    order, c = _ORDERS[query.sort], behaviours.c
    rows = select(*(c[name] for name, _ in order)).where(c.found > 0, *_conditions(query, c, connection))
    # Hidden from the indexes that begin with the task, in whose order each row would have to be fetched from elsewhere.
    if query.task is not None:
        rows = rows.where(func.coalesce(c.task, "") == query.task)
    hidden = {name: c[name] + 0 for name, _ in order}
    rows = rows.where(or_(*_after(order, start))).order_by(*_directions(order, hidden)).limit(wanted)
    return [tuple(row) for row in connection.execute(rows)]


def _conditions(query: RuleQuery, c: Any, connection: Connection) -> list[Any]:
    """The filters beside the task, on columns of `behaviours` or of a part of it."""
    conditions = []
    if query.known == ANY:
        conditions.append(c.known.is_not(None))
    elif query.known == NONE:
        conditions.append(c.known.is_(None))
    elif query.known is not None:
        conditions.append(c.known == known_name(query.known))
    if query.min_fitness is not None:
        conditions.append(c.best_fitness >= query.min_fitness)
    if query.max_complexity is not None:
        conditions.append(c.complexity <= max(-1, min(query.max_complexity, MAX_COMPLEXITY)))
    if query.text is not None and searchable(query.text):
        position = func.instr if connection.dialect.name == "sqlite" else func.strpos
        conditions.append(position(c.text, searchable(query.text)) > 0)
    return conditions


def _after(order: _Order, start: Place | None) -> list[Any]:
    """What lies after a place, as pieces that are each one range of the index, in order.

    After (a, b) come those with a that lie after b, then those that lie after a.
    """
    if start is None:
        return [true()]
    c = behaviours.c
    pieces = []
    for n_equal in reversed(range(len(order))):
        equal = [c[name] == value for (name, _), value in zip(order[:n_equal], start, strict=False)]
        name, descending = order[n_equal]
        pieces.append(and_(*equal, c[name] < start[n_equal] if descending else c[name] > start[n_equal]))
    return pieces


def _directions(order: _Order, columns: Any) -> list[Any]:
    return [columns[name].desc() if descending else columns[name].asc() for name, descending in order]


def _sorted_by(order: _Order, place: Place) -> Place:
    return tuple(-value if descending else value for value, (_, descending) in zip(place, order, strict=True))


def _entries(connection: Connection, numbers: Sequence[int]) -> list[FoundRule]:
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
            select(rules, c.number.label("place"), c.found, c.outcome, c.best_validation, c.best_fitness)
            .add_columns(c.validation_aggregate, c.validation_standard_error, c.validation_n)
            .add_columns(joined.label("found_by"))
            .join(behaviours, c.simplest == rules.c.number)
            .where(c.number.in_(chunk))
        )
        rows.update({row.place: row for row in connection.execute(query)})
    found_by = {
        number: sorted(map(int, filter(None, (row.found_by or "").split(","))), reverse=True)
        for number, row in rows.items()
    }
    ids: dict[int, str] = {}
    for chunk in chunks(sorted({job for numbers in found_by.values() for job in numbers})):
        named = select(jobs.c.number, jobs.c.id).where(jobs.c.number.in_(chunk))
        ids.update({row.number: row.id for row in connection.execute(named)})
    return [
        FoundRule(
            rule=rule_record(rows[number]),
            **best_figures(rows[number]),
            found=rows[number].found,
            jobs=[ids[job] for job in found_by[number]],
        )
        for number in numbers
    ]
