"""Pages of rules and jobs, idempotent requests, lineage, revisions; the large columns of jobs stand apart."""

from __future__ import annotations

import sys
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LOWEST = -sys.float_info.max
CHUNK = 1000


def upgrade() -> None:
    _jobs()
    op.add_column("candidates", sa.Column("origin", sa.String(20)))
    op.add_column("candidates", sa.Column("parents", sa.JSON()))
    _requests()
    _behaviours()


def _jobs() -> None:
    for table, column in (("checkpoints", "search_state"), ("results", "result")):
        op.create_table(
            table,
            sa.Column("job", sa.Integer(), autoincrement=False, nullable=False),
            sa.Column(column, sa.JSON(), nullable=False),
            sa.PrimaryKeyConstraint("job", name=f"pk_{table}"),
            sa.ForeignKeyConstraint(["job"], ["jobs.number"], name=f"fk_{table}_job_jobs"),
        )
        op.execute(f"INSERT INTO {table} (job, {column}) SELECT number, {column} FROM jobs WHERE {column} IS NOT NULL")
        op.drop_column("jobs", column)
    op.add_column("jobs", sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False))
    for columns in (["task", "number"], ["state", "number"], ["kind", "number"], ["spec_hash", "number"]):
        op.create_index(f"ix_jobs_{'_'.join(columns)}", "jobs", columns)
    op.create_index("ix_jobs_kind_state", "jobs", ["kind", "state"])


def _requests() -> None:
    op.create_table(
        "requests",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("made", sa.String(12), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_requests"),
    )
    op.create_index("ix_requests_made", "requests", ["made"])
    op.create_index("ix_requests_created", "requests", ["created"])


def _behaviours() -> None:
    op.rename_table("behaviours", "behaviours_before")
    if op.get_bind().dialect.name == "postgresql":  # names of constraints are the schema's there, not the table's
        op.drop_constraint("pk_behaviours", "behaviours_before")
        op.drop_constraint("fk_behaviours_simplest_rules", "behaviours_before")
    behaviours = op.create_table(
        "behaviours",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("task", sa.String(100), nullable=False),
        sa.Column("complexity", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("best_validation", sa.Double(), nullable=False),
        sa.Column("best_fitness", sa.Double(), nullable=False),
        sa.Column("known", sa.Text()),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("behaviour", sa.String(64), nullable=False),
        sa.Column("simplest", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(20)),
        sa.Column("validation_aggregate", sa.Double()),
        sa.Column("validation_standard_error", sa.Double()),
        sa.Column("validation_n", sa.Integer()),
        sa.PrimaryKeyConstraint("number", name="pk_behaviours"),
        sa.UniqueConstraint("task", "behaviour", name="uq_behaviours_task_behaviour"),
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
    op.create_table(
        "judged",
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("outcome", name="pk_judged"),
    )
    _copy(behaviours)
    op.drop_table("behaviours_before")
    op.execute(
        "INSERT INTO findings (behaviour, job) SELECT DISTINCT behaviours.number, candidates.job FROM candidates "
        "JOIN rules ON rules.number = candidates.rule "
        "JOIN behaviours ON behaviours.task = rules.task AND behaviours.behaviour = rules.behaviour"
    )
    op.execute(
        "UPDATE behaviours SET found = (SELECT count(*) FROM findings WHERE findings.behaviour = behaviours.number)"
    )
    op.execute("INSERT INTO judged (outcome, number) SELECT outcome, count(*) FROM candidates GROUP BY outcome")
    best: list[Any] = [sa.text("best_validation DESC"), sa.text("best_fitness DESC"), "number"]
    op.create_index("ix_behaviours_task_number", "behaviours", ["task", "number"])
    op.create_index("ix_behaviours_fitness", "behaviours", ["task", *best])
    op.create_index("ix_behaviours_complexity", "behaviours", ["task", "complexity", *best])
    op.create_index("ix_behaviours_found", "behaviours", ["task", sa.text("found DESC"), *best])
    named = sa.text("known IS NOT NULL")
    op.drop_index("ix_rules_task_behaviour", "rules")  # one to be written to that nothing reads any more
    op.create_index("ix_behaviours_known", "behaviours", ["known"], sqlite_where=named, postgresql_where=named)


def _copy(behaviours: sa.Table) -> None:
    """Every behaviour in the order of being found, with the figures of its best candidate."""
    connection = op.get_bind()
    rows = connection.exec_driver_sql(
        "SELECT old.task, old.behaviour, old.simplest, rules.complexity, rules.known_as, rules.text, "
        "best.fitness, best.outcome, best.validation_mean, best.validation_aggregate, "
        "best.validation_standard_error, best.validation_n "
        "FROM behaviours_before AS old JOIN rules ON rules.number = old.simplest "
        "LEFT JOIN candidates AS best ON best.number = old.best "
        "ORDER BY (SELECT min(first.number) FROM rules AS first "
        "WHERE first.task = old.task AND first.behaviour = old.behaviour)"
    ).all()
    for start in range(0, len(rows), CHUNK):
        connection.execute(
            behaviours.insert(),
            [
                {
                    "task": row.task,
                    "complexity": row.complexity,
                    "found": 0,
                    "best_validation": LOWEST if row.validation_mean is None else row.validation_mean,
                    "best_fitness": LOWEST if row.fitness is None else row.fitness,
                    "known": None if row.known_as is None else row.known_as.partition(" = ")[0],
                    "text": "".join(row.text.split()).lower(),
                    "behaviour": row.behaviour,
                    "simplest": row.simplest,
                    "outcome": row.outcome,
                    "validation_aggregate": row.validation_aggregate,
                    "validation_standard_error": row.validation_standard_error,
                    "validation_n": row.validation_n,
                }
                for row in rows[start : start + CHUNK]
            ],
        )
