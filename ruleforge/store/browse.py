"""Pages of rules, one entry per behaviour. Every function works inside the caller's transaction.

A page is a short walk of an index that begins with the task: for each task the rows after the cursor, merged. Where
filters leave so few that a walk of some thousand rows does not fill the page, all behaviours are looked through once.
A place in an order never moves down (fitness and found counts only rise, the simplest rule only becomes simpler), so
that what comes meanwhile makes no entry appear on two pages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from sqlalchemy import Connection, String, cast, func, select, text

from ruleforge.errors import InputError, unknown_name
from ruleforge.store.behaviours import known_name, searchable
from ruleforge.store.cursors import GREATEST, Place, checked_limit, cursor, place
from ruleforge.store.database import chunks, is_text
from ruleforge.store.records import SORTS, FoundRule, Page, RuleQuery
from ruleforge.store.rules import JOBS_SHOWN, best_figures, rule_record
from ruleforge.store.schema import behaviours, findings, jobs, rules

# So many rows of an index are looked at, for each task, before all behaviours are looked through.
WALK = 1000
# SQLite puts at most 500 selections into one statement.
TASKS_AT_ONCE = 50
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
    tasks = _tasks(connection) if query.task is None else [query.task]
    found: list[Place] = []
    for some in chunks(tasks, TASKS_AT_ONCE):
        of_these = _walked(connection, query, some, start, wanted)
        if of_these is None:
            return _looked_through(connection, query, start, wanted)
        found += of_these
    return sorted(found, key=lambda place: _sorted_by(_ORDERS[query.sort], place))[:wanted]


def _tasks(connection: Connection) -> list[str]:
    """The tasks that there are, each found by one step in an index."""
    tasks = [""]
    while (after := connection.execute(_NEXT_TASK, {"task": tasks[-1]}).scalar_one()) is not None:
        tasks.append(after)
    return tasks[1:]


_NEXT_TASK = text("SELECT min(task) FROM behaviours WHERE task > :task")


def _walked(
    connection: Connection, query: RuleQuery, tasks: Sequence[str], start: Place | None, wanted: int
) -> list[Place] | None:
    """Of every task the first so many rows after the cursor and perhaps more; None if a short walk does not find them.

    One statement for all, written as text, because SQLAlchemy would take longer to put its parts together than the
    database to answer it; what a user gave is in its parameters only.
    """
    order = _ORDERS[query.sort]
    conditions, values = _conditions(query, connection)
    pieces = _after(order, start)
    values |= {f"task{t}": task for t, task in enumerate(tasks)} | _start_values(order, start)
    parts = [
        part
        for t in range(len(tasks))
        for p, piece in enumerate(pieces)
        for part in _part(t * len(pieces) + p, f"task = :task{t} AND {piece}", conditions, order)
    ]
    rows = connection.execute(text(" UNION ALL ".join(parts)), values | {"wanted": wanted, "walk": WALK}).all()
    cut_short = {row.part for row in rows if row.walked == WALK}
    shown: dict[int, list[Place]] = {}
    for row in rows:
        if row.walked < 0:
            shown.setdefault(row.part, []).append(tuple(row[2:]))
    found: list[Place] = []
    for t in range(len(tasks)):
        of_task: list[Place] = []
        for part in range(t * len(pieces), (t + 1) * len(pieces)):
            of_task += shown.get(part, [])
            if len(of_task) >= wanted:
                break
            if part in cut_short:
                return None
        found += of_task
    return found


def _part(number: int, range_of: str, conditions: Sequence[str], order: _Order) -> list[str]:
    """Of one range of the index: how many rows the walk saw, if that is bounded, and the keys of those to be shown."""
    keys, by = ", ".join(name for name, _ in order), _directions(order)
    if not conditions:
        rows = f"SELECT {number} AS part, -1 AS walked, {keys} FROM behaviours WHERE {range_of} AND found <> 0"
        return [f"SELECT * FROM ({rows} ORDER BY {by} LIMIT :wanted) AS shown"]
    # Bounded inside, filtered outside.
    walk = f"(SELECT * FROM behaviours WHERE {range_of} ORDER BY {by} LIMIT :walk) AS walk"
    rows = (
        f"SELECT {number} AS part, -1 AS walked, {keys} FROM {walk} WHERE {' AND '.join(['found <> 0', *conditions])}"
    )
    return [
        f"SELECT {number} AS part, count(*) AS walked, {', '.join('0' for _ in order)} FROM {walk}",
        f"SELECT * FROM ({rows} ORDER BY {by} LIMIT :wanted) AS shown",
    ]


def _looked_through(connection: Connection, query: RuleQuery, start: Place | None, wanted: int) -> list[Place]:
    """The same from one look at every behaviour, in the order in which they lie."""
    order = _ORDERS[query.sort]
    conditions, values = _conditions(query, connection)
    # Hidden from the indexes that begin with the task, in whose order each row would have to be fetched from elsewhere.
    if query.task is not None:
        conditions.append("coalesce(task, '') = :task")
    statement = (
        f"SELECT {', '.join(name for name, _ in order)} FROM behaviours "
        f"WHERE {' AND '.join(['found <> 0', *conditions])} AND ({' OR '.join(_after(order, start))}) "
        f"ORDER BY {_directions(order, ' + 0')} LIMIT :wanted"
    )
    values |= {"task": query.task, "wanted": wanted} | _start_values(order, start)
    return [tuple(row) for row in connection.execute(text(statement), values)]


def _conditions(query: RuleQuery, connection: Connection) -> tuple[list[str], dict[str, Any]]:
    """The filters beside the task, and the values in them."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    if query.known == ANY:
        conditions.append("known IS NOT NULL")
    elif query.known == NONE:
        conditions.append("known IS NULL")
    elif query.known is not None:
        conditions.append("known = :known")
        values["known"] = known_name(query.known)
    if query.min_fitness is not None:
        conditions.append("best_fitness >= :min_fitness")
        values["min_fitness"] = float(query.min_fitness)
    if query.max_complexity is not None:
        conditions.append("complexity <= :max_complexity")
        values["max_complexity"] = max(-1, min(query.max_complexity, GREATEST))
    if query.text is not None and searchable(query.text):
        position = "instr" if connection.dialect.name == "sqlite" else "strpos"
        conditions.append(f"{position}(text, :text) > 0")
        values["text"] = searchable(query.text)
    return conditions, values


def _after(order: _Order, start: Place | None) -> list[str]:
    """What lies after the place in `_start_values`, as pieces that are each one range of the index, in order.

    After (a, b) come those with a that lie after b, then those that lie after a.
    """
    if start is None:
        return ["0 = 0"]
    pieces = []
    for n_equal in reversed(range(len(order))):
        equal = [f"{name} = :start_{name}" for name, _ in order[:n_equal]]
        name, descending = order[n_equal]
        pieces.append(" AND ".join([*equal, f"{name} {'<' if descending else '>'} :start_{name}"]))
    return pieces


def _start_values(order: _Order, start: Place | None) -> dict[str, float]:
    return {} if start is None else {f"start_{name}": value for (name, _), value in zip(order, start, strict=True)}


def _directions(order: _Order, suffix: str = "") -> str:
    return ", ".join(f"{name}{suffix} {'DESC' if descending else 'ASC'}" for name, descending in order)


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
