"""Pages of rules, one entry per behaviour and context. Every function works inside the caller's transaction.

Scores of two contexts cannot be compared, so a list goes context by context (by task, then the first recorded first);
only "newest" is one order over all. A page is a short walk of an index that begins with the context. Where filters
leave so few that a walk of some thousand rows does not fill the page, all behaviours are looked through once.
A place in an order never moves down (fitness and found counts only rise, the first score on the library stays, the
simplest rule only becomes simpler), so that what comes meanwhile makes no entry appear on two pages. One thing does
lower a count: a job that is taken further has not found what only the generation that its limit cut had found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from sqlalchemy import Connection, select, text

from ruleforge.errors import InputError, unknown_name
from ruleforge.store.behaviours import known_name, searchable
from ruleforge.store.cursors import GREATEST, Place, checked_limit, cursor, place, refusal
from ruleforge.store.database import is_text
from ruleforge.store.records import SORTS, FoundRule, Page, RuleQuery
from ruleforge.store.rules import begins_with, entries
from ruleforge.store.schema import behaviours, jobs
from ruleforge.store.settings import chosen_settings

# What jobs found, and what was scored on the library all the same: the known rules, and rules of the user's own.
LISTED = "(found <> 0 OR library IS NOT NULL)"
# So many rows of an index are looked at, for each context, before all behaviours are looked through.
WALK = 1000
# SQLite puts at most 500 selections into one statement.
CONTEXTS_AT_ONCE = 50
ANY, NONE = "any", "none"

_Order = tuple[tuple[str, bool], ...]
_BEST = (("best_library", True), ("best_validation", True), ("best_fitness", True), ("number", False))
# By what each order goes: (column, whether the greatest comes first); the index of the same name has it.
_ORDERS: dict[str, _Order] = {
    "fitness": _BEST,
    "complexity": (("complexity", False), *_BEST),
    "found": (("found", True), *_BEST),
    "newest": (("number", True),),
}
assert tuple(_ORDERS) == SORTS


def browse(connection: Connection, query: RuleQuery, after: str | None, limit: int, record: str) -> Page[FoundRule]:
    """A page of the behaviours, each shown by its simplest rule. Raises InputError for a bad query."""
    if query.sort not in _ORDERS:
        raise InputError(unknown_name("sort", query.sort, SORTS), pointer="/sort")
    if query.min_fitness is not None and math.isnan(query.min_fitness):
        raise InputError("expected a number as the least fitness, and nan came", pointer="/min_fitness")
    listing = f"rules {astuple(query)}"
    # A place says in which context it is, then where there.
    kinds = [int, *(behaviours.c[name].type.python_type for name, _ in _ORDERS[query.sort])]
    start = place(listing, after, kinds)
    limit = checked_limit(limit)
    texts = (query.task, query.job, query.parameters, query.known, query.text)
    if not all(is_text(given) for given in texts if given is not None):
        return Page([], None)
    listed = _Listing(connection, query, record)
    if start is not None and start[0] not in listed.contexts:
        raise refusal(str(after))
    places = listed.places(start, limit + 1)
    more = cursor(listing, places[limit - 1]) if len(places) > limit else None
    return Page(entries(connection, [int(place[-1]) for place in places[:limit]]), more)


class _Listing:
    """The list that a query asks for. contexts: the numbers of its contexts, in its order."""

    def __init__(self, connection: Connection, query: RuleQuery, record: str) -> None:
        self.connection, self.order = connection, _ORDERS[query.sort]
        self.job = None if query.job is None else _job(connection, query.job, record)
        chosen = chosen_settings(connection, query.task, query.parameters)
        self.contexts = [number for number, context in chosen if self.job is None or context.digest == self.job.context]
        self.merged = query.sort == "newest"
        self.conditions, self.values = _conditions(query, connection)

    def places(self, start: Place | None, wanted: int) -> list[Place]:
        """The places of the first so many rows after `start`, in order."""
        contexts = self.contexts
        if start is not None and not self.merged:
            contexts = contexts[contexts.index(int(start[0])) :]
        if self.job is not None:
            return self._looked_through(contexts, start, wanted)
        found: list[Place] = []
        for done in range(0, len(contexts), CONTEXTS_AT_ONCE):
            room = wanted if self.merged else wanted - len(found)
            of_these = self._walked(contexts[done : done + CONTEXTS_AT_ONCE], start, room)
            if of_these is None:
                if self.merged:
                    return self._looked_through(contexts, start, wanted)
                return found + self._looked_through(contexts[done:], start, room)
            found += of_these
            if not self.merged and len(found) >= wanted:
                break
            start = start if self.merged else None
        return (sorted(found, key=self._when_found) if self.merged else found)[:wanted]

    @staticmethod
    def _when_found(place: Place) -> float:
        return -place[-1]

    def _walked(self, contexts: Sequence[int], start: Place | None, wanted: int) -> list[Place] | None:
        """Of these contexts the first so many rows after the start; None if a short walk does not find them.

        One statement for all, written as text, because SQLAlchemy would take longer to put its parts together than the
        database to answer it; what a user gave is in its parameters only.
        """
        pieces = [
            (context, piece) for context in contexts for piece in _after(self.order, self._start_in(context, start))
        ]
        parts = [
            part
            for number, (context, piece) in enumerate(pieces)
            for part in _part(number, f"settings = {int(context)} AND {piece}", self.conditions, self.order)
        ]
        values = self.values | _start_values(self.order, start) | {"wanted": wanted, "walk": WALK}
        rows = self.connection.execute(text(" UNION ALL ".join(parts)), values).all()
        cut_short = {row.part for row in rows if row.walked == WALK}
        shown: dict[int, list[Place]] = {}
        for row in rows:
            if row.walked < 0:
                shown.setdefault(row.part, []).append((pieces[row.part][0], *row[2:]))
        found: list[Place] = []
        of_context = 0  # so many are found in the context at hand
        for number, (context, _) in enumerate(pieces):
            if number and context != pieces[number - 1][0]:
                of_context = 0
            if (of_context if self.merged else len(found)) >= wanted:
                continue
            found += shown.get(number, [])
            of_context += len(shown.get(number, []))
            if (of_context if self.merged else len(found)) < wanted and number in cut_short:
                return None
        return found

    def _start_in(self, context: int, start: Place | None) -> Place | None:
        return start if start is not None and (self.merged or context == start[0]) else None

    def _looked_through(self, contexts: Sequence[int], start: Place | None, wanted: int) -> list[Place]:
        """The same from one look at every behaviour, in the order in which they lie."""
        if not contexts:
            return []
        conditions = [LISTED, *self.conditions]
        values = self.values | _start_values(self.order, start) | {"wanted": wanted}
        if self.job is not None:
            conditions.append(f"number IN ({_OF_JOB})")
            values |= {"job": self.job.number, "context": contexts[0]}
        # Hidden from the indexes that begin with it, in whose order each row would have to be fetched from elsewhere.
        in_these = f"settings + 0 IN ({', '.join(str(int(context)) for context in contexts)})"
        after = " OR ".join(_after(self.order, start))
        if start is not None and not self.merged:
            after = f"settings <> {int(start[0])} OR ({after})"
        by = _directions(self.order, " + 0")
        if not self.merged:
            binary = "BINARY" if self.connection.dialect.name == "sqlite" else '"C"'
            by = f"of_task COLLATE {binary}, settings, {by}"
        statement = (
            f"SELECT settings, {', '.join(name for name, _ in self.order)} FROM behaviours "
            "JOIN (SELECT number AS of_settings, task AS of_task FROM settings) AS named ON of_settings = settings "
            f"WHERE {' AND '.join([*conditions, in_these])} AND ({after}) ORDER BY {by} LIMIT :wanted"
        )
        return [tuple(row) for row in self.connection.execute(text(statement), values)]


# The behaviours of a job's candidates.
_OF_JOB = (
    "SELECT mine.number FROM candidates JOIN rules ON rules.number = candidates.rule "
    "JOIN behaviours AS mine ON mine.settings = :context AND mine.behaviour = rules.behaviour "
    "WHERE candidates.job = :job"
)


def _job(connection: Connection, prefix: str, record: str) -> Any:
    """Number and context of the job whose id begins so."""
    ids = list(connection.scalars(begins_with(jobs.c.id, prefix)))
    if len(ids) != 1:
        which = "several jobs begin with" if ids else "no job"
        raise InputError(f"{which} {prefix!r} in {record}: `ruleforge jobs` lists them", pointer="/job")
    return connection.execute(select(jobs.c.number, jobs.c.context).where(jobs.c.id == ids[0])).one()


def _part(number: int, range_of: str, conditions: Sequence[str], order: _Order) -> list[str]:
    """Of one range of the index: how many rows the walk saw, if that is bounded, and the keys of those to be shown."""
    keys, by = ", ".join(name for name, _ in order), _directions(order)
    if not conditions:
        rows = f"SELECT {number} AS part, -1 AS walked, {keys} FROM behaviours WHERE {range_of} AND {LISTED}"
        return [f"SELECT * FROM ({rows} ORDER BY {by} LIMIT :wanted) AS shown"]
    # Bounded inside, filtered outside.
    walk = f"(SELECT * FROM behaviours WHERE {range_of} ORDER BY {by} LIMIT :walk) AS walk"
    rows = f"SELECT {number} AS part, -1 AS walked, {keys} FROM {walk} WHERE {' AND '.join([LISTED, *conditions])}"
    return [
        f"SELECT {number} AS part, count(*) AS walked, {', '.join('0' for _ in order)} FROM {walk}",
        f"SELECT * FROM ({rows} ORDER BY {by} LIMIT :wanted) AS shown",
    ]


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
    if start is None:
        return {}
    return {f"start_{name}": value for (name, _), value in zip(order, start[1:], strict=True)}


def _directions(order: _Order, suffix: str = "") -> str:
    return ", ".join(f"{name}{suffix} {'DESC' if descending else 'ASC'}" for name, descending in order)
