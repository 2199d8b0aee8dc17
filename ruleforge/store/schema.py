"""The tables of the record.

Every table carries narrow integer keys inside; the identities that people and other parts use (job id, rule id,
context, instance key) stand once, beside them. Measured on 910 000 scores with two metrics each: 65 bytes per score.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

# The newest migration; a record that says so is opened without loading Alembic.
REVISION = "0004"
VERSION_TABLE = "alembic_version"

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A time zone aware datetime, kept in UTC also where the database knows no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From UTC, aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _json() -> JSON:
    # JSON and not JSONB on PostgreSQL: JSONB rewrites numbers (−0.0 becomes 0), and a search state comes back exactly.
    return JSON(none_as_null=True)


def _reference(name: str, target: str, **options: Any) -> Column[int]:
    return Column(name, Integer, ForeignKey(target), nullable=False, **options)


jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(12), nullable=False, unique=True),
    Column("task", String(100), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("spec_hash", String(64), nullable=False),
    Column("name", Text),
    Column("notes", Text),
    Column("generation", Integer, nullable=False),
    Column("evaluations", Integer, nullable=False),
    Column("best", Double),
    Column("seconds", Double, nullable=False),
    Column("history", String(64), nullable=False),
    Column("stopped_by", Text),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False),
    Column("tags", _json(), nullable=False),
    Column("versions", _json(), nullable=False),
    Column("spec", _json(), nullable=False),
    Column("revision", Integer, nullable=False, server_default=text("1")),
    Column("test_openings", Integer, nullable=False, server_default=text("0")),
    Column("started_from", String(12)),  # a job's id, kept when that job is deleted
    Column("context", String(16), nullable=False, server_default=text("''")),  # a digest in `settings`
    Index(None, "task", "number"),
    Index(None, "state", "number"),
    Index(None, "kind", "number"),
    Index(None, "kind", "state"),
    Index(None, "spec_hash", "number"),
    sqlite_autoincrement=True,  # a number is never used again
)

# What is large stands apart: a row is written as a whole, and a job's changes often.
checkpoints = Table(
    "checkpoints",
    metadata,
    _reference("job", "jobs.number", primary_key=True, autoincrement=False),
    Column("search_state", _json(), nullable=False),
)

results = Table(
    "results",
    metadata,
    _reference("job", "jobs.number", primary_key=True, autoincrement=False),
    Column("result", _json(), nullable=False),
)

# The jobs that have not ended, so that looking for work does not read the many that have.
queue = Table(
    "queue",
    metadata,
    _reference("job", "jobs.number", primary_key=True, autoincrement=False),
    Column("priority", Integer, nullable=False),
)

# Who runs a job. One row per job that is run or whose process died; `token` is new with every holder.
leases = Table(
    "leases",
    metadata,
    _reference("job", "jobs.number", primary_key=True, autoincrement=False),
    Column("token", String(32), nullable=False),
    Column("host", Text, nullable=False),
    Column("machine", Text, nullable=False),
    Column("process", Integer, nullable=False),
    Column("started", Text, nullable=False),
    Column("heartbeat", Moment, nullable=False),
)

studies = Table(
    "studies",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(12), nullable=False, unique=True),
    Column("spec_hash", String(64), nullable=False, unique=True),
    Column("name", Text),
    Column("created", Moment, nullable=False),
    Column("spec", _json(), nullable=False),
)

study_jobs = Table(
    "study_jobs",
    metadata,
    _reference("study", "studies.number", primary_key=True),
    Column("position", Integer, primary_key=True),
    _reference("job", "jobs.number", unique=True),
    Column("configuration", Text, nullable=False),
)

# The contexts of jobs: families, each with its version and parameters (NULL where nobody recorded them).
settings = Table(
    "settings",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("digest", String(16), nullable=False, unique=True),
    Column("task", String(100), nullable=False),
    Column("version", Integer),
    Column("parameters", _json()),
)

rules = Table(
    "rules",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("task", String(100), nullable=False),
    Column("behaviour", String(64), nullable=False),
    Column("complexity", Integer, nullable=False),
    Column("known_as", Text),
    Column("known_factor", Double),
    Column("text", Text, nullable=False),
    Column("tokens", _json(), nullable=False),
)

candidates = Table(
    "candidates",
    metadata,
    Column("number", Integer, primary_key=True),
    _reference("job", "jobs.number"),
    Column("generation", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    _reference("rule", "rules.number"),
    Column("fitness", Double),
    Column("outcome", String(20), nullable=False),
    # On instances that the search never saw: what it is ranked by, and the whole summary.
    Column("validation_aggregate", Double),
    Column("validation", _json()),
    # How this job wrote the rule, where that differs from the text in `rules`: one rule id stands for both orders of a
    # sum or a product, and a search that continues must see its own.
    Column("text", Text),
    Column("tokens", _json()),
    Column("origin", String(20)),
    Column("parents", _json()),  # rule ids
    UniqueConstraint("job", "generation", "position"),
    Index(None, "rule", "job"),
)

# What could be had by grouping all candidates by context and behaviour; kept, so that a page of rules is a short walk
# of an index, and so that the best that was measured outlives its job. The columns that rules are chosen and ordered
# by come first.
behaviours = Table(
    "behaviours",
    metadata,
    Column("number", Integer, primary_key=True),  # in the order of being found
    _reference("settings", "settings.number"),
    Column("complexity", Integer, nullable=False),  # of the simplest rule
    Column("found", Integer, nullable=False),  # by so many jobs
    # On the library, by which rules are ranked; validation and training fitness of the best candidate. The lowest
    # numbers stand for none, because the databases order NULL in two ways, and a place in an order with NULL is hard to
    # go on from.
    Column("best_library", Double, nullable=False),
    Column("best_validation", Double, nullable=False),
    Column("best_fitness", Double, nullable=False),
    Column("known", Text),  # the name in `known_as` of the simplest rule
    Column("text", Text, nullable=False),  # of the simplest rule, as it is searched
    Column("behaviour", String(64), nullable=False),
    _reference("simplest", "rules.number"),
    Column("outcome", String(20)),  # of the best candidate, and so is the next
    Column("validation", _json()),
    Column("library", _json()),
    UniqueConstraint("settings", "behaviour"),
    Index(None, "settings", "number"),
)
_best_first = (
    behaviours.c.best_library.desc(),
    behaviours.c.best_validation.desc(),
    behaviours.c.best_fitness.desc(),
    behaviours.c.number,
)
Index("ix_behaviours_fitness", behaviours.c.settings, *_best_first)
Index("ix_behaviours_complexity", behaviours.c.settings, behaviours.c.complexity, *_best_first)
Index("ix_behaviours_found", behaviours.c.settings, behaviours.c.found.desc(), *_best_first)
# Few behaviours have a name.
_named = behaviours.c.known.is_not(None)
Index("ix_behaviours_known", behaviours.c.known, sqlite_where=_named, postgresql_where=_named)

# Which jobs found a behaviour. No reference to `jobs`: it would need an index by job, and only `delete_job` removes.
findings = Table(
    "findings",
    metadata,
    _reference("behaviour", "behaviours.number", primary_key=True),
    Column("job", Integer, primary_key=True),
    sqlite_with_rowid=False,
)

# How many candidates there were of each outcome, those of deleted jobs included.
judged = Table(
    "judged",
    metadata,
    Column("outcome", String(20), primary_key=True),
    Column("number", BigInteger, nullable=False),
)

# What was asked for with a key of the client's, and what came of it.
requests = Table(
    "requests",
    metadata,
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("made", String(12), nullable=False, index=True),
    Column("created", Moment, nullable=False, index=True),
)

# Under which single scores hold: context, and kernels.
contexts = Table(
    "contexts",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
)

instances = Table(
    "instances",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
)

scores = Table(
    "scores",
    metadata,
    _reference("context", "contexts.number", primary_key=True),
    _reference("rule", "rules.number", primary_key=True),
    _reference("instance", "instances.number", primary_key=True),
    Column("fitness", Double),
    Column("outcome", String(20), nullable=False),
    Column("metrics", _json()),
    sqlite_with_rowid=False,  # the rows lie in the order of the key, and the key is stored once
)

generations = Table(
    "generations",
    metadata,
    _reference("job", "jobs.number", primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("evaluations", Integer, nullable=False),
    Column("best", Double),
    Column("median", Double),
    Column("n_distinct", Integer, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("front", _json(), nullable=False),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    _reference("job", "jobs.number"),
    Column("time", Moment, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("payload", _json(), nullable=False),
    Index(None, "job", "id"),
    sqlite_autoincrement=True,  # clients continue after the last id they saw
)
