"""Behaviours by context, with their scores on the library; test openings; from which job's front a search started."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LOWEST = -sys.float_info.max
CHUNK = 1000
# The first digits of a score's context were those of family, version and parameters, the others of the kernels.
DIGITS = 16


def upgrade() -> None:
    op.add_column("jobs", sa.Column("test_openings", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("jobs", sa.Column("started_from", sa.String(12)))
    op.add_column("jobs", sa.Column("context", sa.String(16), server_default=sa.text("''"), nullable=False))
    op.create_table(
        "settings",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(16), nullable=False),
        sa.Column("task", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer()),
        sa.Column("parameters", sa.JSON()),
        sa.PrimaryKeyConstraint("number", name="pk_settings"),
        sa.UniqueConstraint("digest", name="uq_settings_digest"),
    )
    _contexts()
    _validations()
    _behaviours()


def _digest(task: str, version: Any, parameters: Any) -> str:
    payload = json.dumps([task, version, parameters], sort_keys=True)
    return blake2b(payload.encode(), digest_size=8).hexdigest()


def _streamed(query: Any) -> Iterator[Any]:
    """The rows of a query, of which a large record has more than fit into memory."""
    options = {"stream_results": True, "yield_per": CHUNK}
    return iter(op.get_bind().execute(sa.text(query) if isinstance(query, str) else query, execution_options=options))


def _in_chunks(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    remaining = iter(rows)
    while chunk := list(itertools.islice(remaining, CHUNK)):
        yield chunk


SETTINGS = sa.table(
    "settings",
    *map(sa.column, ("number", "digest", "task", "version")),
    sa.column("parameters", sa.JSON(none_as_null=True)),
)


def _settings_number(task: str, version: Any, parameters: Any, digest: str | None = None) -> int:
    """The number of a context, which is added if it is new."""
    digest = _digest(task, version, parameters) if digest is None else digest
    connection = op.get_bind()
    query = sa.select(SETTINGS.c.number).where(SETTINGS.c.digest == digest)
    number = connection.scalars(query).one_or_none()
    if number is None:
        row = {"digest": digest, "task": task, "version": version, "parameters": parameters}
        connection.execute(sa.insert(SETTINGS), row)
        number = connection.scalars(query).one()
    return int(number)


def _contexts() -> None:
    """Of every job, from its specification and versions."""
    jobs = sa.table(
        "jobs",
        *map(sa.column, ("number", "task", "context")),
        *(sa.column(name, sa.JSON()) for name in ("spec", "versions")),
    )
    known: dict[str, int] = {}
    changes = []
    for row in _streamed(sa.select(jobs.c.number, jobs.c.task, jobs.c.spec, jobs.c.versions).order_by(jobs.c.number)):
        version, parameters = (row.versions or {}).get("family"), (row.spec or {}).get("parameters")
        if not isinstance(version, int) or not isinstance(parameters, dict):
            version = parameters = None  # nobody knows
        digest = _digest(row.task, version, parameters)
        changes.append({"of": row.number, "digest": digest})
        if digest not in known:
            known[digest] = _settings_number(row.task, version, parameters)
    for chunk in _in_chunks(changes):
        statement = sa.update(jobs).where(jobs.c.number == sa.bindparam("of")).values(context=sa.bindparam("digest"))
        op.get_bind().execute(statement, chunk)


def _validations() -> None:
    """The summary of a candidate in one column."""
    op.add_column("candidates", sa.Column("validation", sa.JSON()))
    candidates = sa.table(
        "candidates",
        *map(sa.column, ("number", "validation_aggregate", "validation_mean")),
        *map(sa.column, ("validation_standard_error", "validation_n")),
        sa.column("validation", sa.JSON()),
    )
    c = candidates.c
    rows = op.get_bind().execute(sa.select(candidates).where(c.validation_n.is_not(None))).all()
    for chunk in _in_chunks({"of": row.number, "summary": _summary(row)} for row in rows):
        statement = sa.update(candidates).where(c.number == sa.bindparam("of"))
        op.get_bind().execute(statement.values(validation=sa.bindparam("summary", type_=sa.JSON())), chunk)
    for name in ("validation_mean", "validation_standard_error", "validation_n"):
        op.drop_column("candidates", name)


def _summary(row: Any) -> dict[str, Any]:
    return {
        "aggregate": row.validation_aggregate,
        "mean": row.validation_mean,
        "standard_error": row.validation_standard_error,
        "n": row.validation_n,
    }


def _behaviours() -> None:
    for name in ("task_number", "fitness", "complexity", "found", "known"):
        op.drop_index(f"ix_behaviours_{name}", "behaviours")
    op.rename_table("behaviours", "behaviours_before")
    op.rename_table("findings", "findings_before")
    if op.get_bind().dialect.name == "postgresql":  # names of constraints are the schema's there, not the table's
        op.drop_constraint("fk_findings_behaviour_behaviours", "findings_before")
        op.drop_constraint("pk_findings", "findings_before")
        op.drop_constraint("fk_behaviours_simplest_rules", "behaviours_before")
        op.drop_constraint("pk_behaviours", "behaviours_before")
        op.drop_constraint("uq_behaviours_task_behaviour", "behaviours_before")
    behaviours = op.create_table(
        "behaviours",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("settings", sa.Integer(), nullable=False),
        sa.Column("complexity", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("best_library", sa.Double(), nullable=False),
        sa.Column("best_validation", sa.Double(), nullable=False),
        sa.Column("best_fitness", sa.Double(), nullable=False),
        sa.Column("known", sa.Text()),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("behaviour", sa.String(64), nullable=False),
        sa.Column("simplest", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(20)),
        sa.Column("validation", sa.JSON(none_as_null=True)),
        sa.Column("library", sa.JSON(none_as_null=True)),
        sa.PrimaryKeyConstraint("number", name="pk_behaviours"),
        sa.UniqueConstraint("settings", "behaviour", name="uq_behaviours_settings_behaviour"),
        sa.ForeignKeyConstraint(["settings"], ["settings.number"], name="fk_behaviours_settings_settings"),
        sa.ForeignKeyConstraint(["simplest"], ["rules.number"], name="fk_behaviours_simplest_rules"),
    )
    op.create_table(
        "findings",
        sa.Column("behaviour", sa.Integer(), nullable=False),
        sa.Column("job", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("behaviour", "job", name="pk_findings"),
        sa.ForeignKeyConstraint(["behaviour"], ["behaviours.number"], name="fk_findings_behaviour_behaviours"),
        sqlite_with_rowid=False,
    )
    _analyse("jobs", "settings", "rules", "candidates")
    for chunk in _in_chunks(_grouped()):
        op.get_bind().execute(sa.insert(behaviours), chunk)
    _analyse("behaviours")
    op.execute(
        "INSERT INTO findings (behaviour, job) SELECT DISTINCT behaviours.number, candidates.job FROM candidates "
        "JOIN jobs ON jobs.number = candidates.job JOIN settings ON settings.digest = jobs.context "
        "JOIN rules ON rules.number = candidates.rule "
        "JOIN behaviours ON behaviours.settings = settings.number AND behaviours.behaviour = rules.behaviour"
    )
    _analyse("findings", "findings_before", "behaviours_before")
    op.execute(
        "UPDATE behaviours SET found = (SELECT count(*) FROM findings WHERE findings.behaviour = behaviours.number)"
    )
    _of_deleted_jobs(behaviours)
    op.drop_table("findings_before")
    op.drop_table("behaviours_before")
    best: list[Any] = [sa.text(f"best_{name} DESC") for name in ("library", "validation", "fitness")]
    best.append("number")
    op.create_index("ix_behaviours_settings_number", "behaviours", ["settings", "number"])
    op.create_index("ix_behaviours_fitness", "behaviours", ["settings", *best])
    op.create_index("ix_behaviours_complexity", "behaviours", ["settings", "complexity", *best])
    op.create_index("ix_behaviours_found", "behaviours", ["settings", sa.text("found DESC"), *best])
    named = sa.text("known IS NOT NULL")
    op.create_index("ix_behaviours_known", "behaviours", ["known"], sqlite_where=named, postgresql_where=named)


def _analyse(*tables: str) -> None:
    """Let PostgreSQL see how large these have become: it takes new tables for small ones and reads them row by row."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ANALYZE {', '.join(tables)}")


def _grouped() -> Iterator[dict[str, Any]]:
    """Rows of `behaviours` from the candidates, in the order of being found."""
    rows = _streamed(
        sa.text(
            "SELECT settings.number AS settings, rules.number AS rule, rules.behaviour, rules.complexity, rules.text, "
            "rules.known_as, candidates.fitness, candidates.outcome, candidates.validation_aggregate, "
            "candidates.validation, "
            "min(candidates.number) OVER (PARTITION BY settings.number, rules.behaviour) AS first_of_these "
            "FROM candidates JOIN rules ON rules.number = candidates.rule JOIN jobs ON jobs.number = candidates.job "
            "JOIN settings ON settings.digest = jobs.context ORDER BY first_of_these, candidates.number"
        ).columns(validation=sa.JSON())
    )
    for _, group in itertools.groupby(rows, key=lambda row: row.first_of_these):
        simplest = best = None
        for row in group:
            if simplest is None or _order(row) < _order(simplest):
                simplest = row
            if best is None or _rank(row) > _rank(best):
                best = row
        assert simplest is not None
        assert best is not None
        yield {"settings": simplest.settings, "behaviour": simplest.behaviour, **_simplest(simplest), **_best(best)}


def _order(row: Any) -> tuple[int, int, str]:
    return row.complexity, len(row.text), row.text


def _rank(row: Any) -> tuple[float, float]:
    return tuple(  # type: ignore[return-value]
        LOWEST if value is None else value for value in (row.validation_aggregate, row.fitness)
    )


def _simplest(row: Any) -> dict[str, Any]:
    return {
        "simplest": row.rule,
        "complexity": row.complexity,
        "known": None if row.known_as is None else row.known_as.partition(" = ")[0],
        "text": "".join(row.text.split()).lower(),
        "found": 0,
        "best_library": LOWEST,
        "library": None,
    }


def _best(row: Any) -> dict[str, Any]:
    validation, fitness = _rank(row)
    return {
        "best_validation": validation,
        "best_fitness": fitness,
        "outcome": row.outcome,
        "validation": row.validation,
    }


def _of_deleted_jobs(behaviours: sa.Table) -> None:
    """What deleted jobs left in the ranking: into the context of the behaviour's scores, where that is one alone."""
    connection = op.get_bind()
    left = connection.execute(
        sa.text(
            "SELECT old.*, rules.text AS simplest_text, rules.known_as, old.found - coalesce(kept, 0) AS lost "
            "FROM behaviours_before AS old JOIN rules ON rules.number = old.simplest LEFT JOIN "
            "(SELECT behaviour AS counted, count(*) AS kept FROM findings_before GROUP BY behaviour) AS by_jobs "
            "ON counted = old.number WHERE old.found > coalesce(kept, 0) "
            "ORDER BY old.number"
        )
    ).all()
    scored = _scored_in({(row.task, row.behaviour) for row in left}) if left else {}
    of_this = sa.text(
        "SELECT behaviours.number, digest, complexity, best_validation, best_fitness, rules.text AS simplest_text "
        "FROM settings JOIN behaviours ON settings = settings.number "
        "JOIN (SELECT number AS of_rule, text FROM rules) AS rules ON of_rule = simplest "
        "WHERE task = :task AND behaviour = :behaviour"
    )
    for row in left:
        found = connection.execute(of_this, {"task": row.task, "behaviour": row.behaviour}).all()
        held = {each.digest: each for each in found}
        rank = (_figures(row)["best_validation"], _figures(row)["best_fitness"])
        ranks = [(each.best_validation, each.best_fitness) for each in found]
        shares = _shares(scored.get((row.task, row.behaviour), set()), set(held), row.lost)
        for digest, lost in shares.items():
            number = _settings_number(row.task, None, None, digest)
            one = sa.update(behaviours).where(behaviours.c.settings == number, behaviours.c.behaviour == row.behaviour)
            # Which of several deleted jobs measured the best, nobody knows.
            figures = _figures(row) if len(shares) == 1 or digest is None else _NO_FIGURES
            if digest not in held:
                if rank in ranks:  # those of a job that is there
                    figures = _NO_FIGURES
                own = {"settings": number, "behaviour": row.behaviour, **_simplest_left(row), **figures}
                connection.execute(
                    sa.insert(behaviours), {**own, "found": lost, "best_library": LOWEST, "library": None}
                )
                continue
            connection.execute(one.values(found=behaviours.c.found + lost))
            mine = held[digest]
            if rank not in ranks and rank > (mine.best_validation, mine.best_fitness):
                connection.execute(one, figures)
            before = (mine.complexity, len(mine.simplest_text), mine.simplest_text)
            if len(held) == 1 and (row.complexity, len(row.simplest_text), row.simplest_text) < before:
                connection.execute(one, _simplest_left(row))


_NO_FIGURES = {"best_validation": LOWEST, "best_fitness": LOWEST, "outcome": None, "validation": None}


def _shares(scored: set[str], held: set[str], lost: int) -> dict[str | None, int]:
    """In which context how many deleted jobs found a behaviour; None: nobody knows.

    One that has scores and no job had a deleted one; the others had that context too only if there is no other.
    """
    alone = scored - held
    if len(alone) == 1:
        rest: dict[str | None, int] = {None: lost - 1} if lost > 1 and len(scored) > 1 else {}
        return {min(alone): lost - sum(rest.values()), **rest}
    for choice in (scored, held if not scored else set()):
        if len(choice) == 1:
            return {min(choice): lost}
    return {None: lost}


def _figures(row: Any) -> dict[str, Any]:
    """Of the best candidate, as it was ranked: the validation by its aggregate."""
    summary = None
    validation = LOWEST
    if row.validation_n is not None:
        mean = None if row.best_validation == LOWEST else row.best_validation
        summary = {
            "aggregate": row.validation_aggregate,
            "mean": mean,
            "standard_error": row.validation_standard_error,
            "n": row.validation_n,
        }
        validation = LOWEST if row.validation_aggregate is None else row.validation_aggregate
    return {
        "best_validation": validation,
        "best_fitness": row.best_fitness,
        "outcome": row.outcome,
        "validation": summary,
    }


def _simplest_left(row: Any) -> dict[str, Any]:
    return {"simplest": row.simplest, "complexity": row.complexity, "known": row.known, "text": row.text}


def _scored_in(wanted: set[tuple[str, str]]) -> dict[tuple[str, str], set[str]]:
    """The contexts of the scores of these behaviours' rules."""
    names: dict[int, str] = {row.number: row.digest for row in op.get_bind().execute(sa.text("SELECT * FROM contexts"))}
    found: dict[tuple[str, str], set[str]] = {}
    rules = _streamed("SELECT number, task, behaviour FROM rules ORDER BY number")
    there = sa.text("SELECT 1 FROM scores WHERE context = :context AND rule = :rule LIMIT 1")
    for row in [row for row in rules if (row.task, row.behaviour) in wanted]:
        for context, digest in names.items():
            if op.get_bind().execute(there, {"context": context, "rule": row.number}).first() is not None:
                found.setdefault((row.task, row.behaviour), set()).add(digest[:DIGITS])
    return found
