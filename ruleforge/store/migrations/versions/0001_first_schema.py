"""Jobs, their generations, candidates and events; rules, behaviours, scores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("task", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("spec_hash", sa.String(64), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("notes", sa.Text()),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("evaluations", sa.Integer(), nullable=False),
        sa.Column("best", sa.Double()),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("history", sa.String(64), nullable=False),
        sa.Column("stopped_by", sa.Text()),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON()),
        sa.Column("search_state", sa.JSON()),
        sa.PrimaryKeyConstraint("number", name="pk_jobs"),
        sa.UniqueConstraint("id", name="uq_jobs_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "rules",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("task", sa.String(100), nullable=False),
        sa.Column("behaviour", sa.String(64), nullable=False),
        sa.Column("complexity", sa.Integer(), nullable=False),
        sa.Column("known_as", sa.Text()),
        sa.Column("known_factor", sa.Double()),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("tokens", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_rules"),
        sa.UniqueConstraint("id", name="uq_rules_id"),
    )
    op.create_index("ix_rules_task_behaviour", "rules", ["task", "behaviour"])
    op.create_table(
        "candidates",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("job", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("rule", sa.Integer(), nullable=False),
        sa.Column("fitness", sa.Double()),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("validation_aggregate", sa.Double()),
        sa.Column("validation_mean", sa.Double()),
        sa.Column("validation_standard_error", sa.Double()),
        sa.Column("validation_n", sa.Integer()),
        sa.Column("text", sa.Text()),
        sa.Column("tokens", sa.JSON()),
        sa.PrimaryKeyConstraint("number", name="pk_candidates"),
        sa.UniqueConstraint("job", "generation", "position", name="uq_candidates_job_generation_position"),
        sa.ForeignKeyConstraint(["job"], ["jobs.number"], name="fk_candidates_job_jobs"),
        sa.ForeignKeyConstraint(["rule"], ["rules.number"], name="fk_candidates_rule_rules"),
    )
    op.create_index("ix_candidates_rule_job", "candidates", ["rule", "job"])
    op.create_table(
        "behaviours",
        sa.Column("task", sa.String(100), nullable=False),
        sa.Column("behaviour", sa.String(64), nullable=False),
        sa.Column("simplest", sa.Integer(), nullable=False),
        sa.Column("best", sa.Integer()),
        sa.Column("best_validation", sa.Double()),
        sa.Column("best_fitness", sa.Double()),
        sa.PrimaryKeyConstraint("task", "behaviour", name="pk_behaviours"),
        sa.ForeignKeyConstraint(["simplest"], ["rules.number"], name="fk_behaviours_simplest_rules"),
        sa.ForeignKeyConstraint(["best"], ["candidates.number"], name="fk_behaviours_best_candidates"),
        sqlite_with_rowid=False,
    )
    ranking = ["best_validation", "best_fitness"]
    op.create_index("ix_behaviours_task_best_validation_best_fitness", "behaviours", ["task", *ranking])
    op.create_index("ix_behaviours_best_validation_best_fitness", "behaviours", ranking)
    op.create_table(
        "contexts",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_contexts"),
        sa.UniqueConstraint("digest", name="uq_contexts_digest"),
    )
    op.create_table(
        "instances",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_instances"),
        sa.UniqueConstraint("key", name="uq_instances_key"),
    )
    op.create_table(
        "scores",
        sa.Column("context", sa.Integer(), nullable=False),
        sa.Column("rule", sa.Integer(), nullable=False),
        sa.Column("instance", sa.Integer(), nullable=False),
        sa.Column("fitness", sa.Double()),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("metrics", sa.JSON()),
        sa.PrimaryKeyConstraint("context", "rule", "instance", name="pk_scores"),
        sa.ForeignKeyConstraint(["context"], ["contexts.number"], name="fk_scores_context_contexts"),
        sa.ForeignKeyConstraint(["rule"], ["rules.number"], name="fk_scores_rule_rules"),
        sa.ForeignKeyConstraint(["instance"], ["instances.number"], name="fk_scores_instance_instances"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "generations",
        sa.Column("job", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("evaluations", sa.Integer(), nullable=False),
        sa.Column("best", sa.Double()),
        sa.Column("median", sa.Double()),
        sa.Column("n_distinct", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("front", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("job", "number", name="pk_generations"),
        sa.ForeignKeyConstraint(["job"], ["jobs.number"], name="fk_generations_job_jobs"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job", sa.Integer(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.ForeignKeyConstraint(["job"], ["jobs.number"], name="fk_events_job_jobs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_job_id", "events", ["job", "id"])
