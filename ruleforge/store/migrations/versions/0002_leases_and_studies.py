"""Queue, leases, studies; the ranking of behaviours on PostgreSQL with missing numbers last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "studies",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("spec_hash", sa.String(64), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_studies"),
        sa.UniqueConstraint("id", name="uq_studies_id"),
        sa.UniqueConstraint("spec_hash", name="uq_studies_spec_hash"),
    )
    op.create_table(
        "study_jobs",
        sa.Column("study", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("job", sa.Integer(), nullable=False),
        sa.Column("configuration", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("study", "position", name="pk_study_jobs"),
        sa.UniqueConstraint("job", name="uq_study_jobs_job"),
        sa.ForeignKeyConstraint(["study"], ["studies.number"], name="fk_study_jobs_study_studies"),
        sa.ForeignKeyConstraint(["job"], ["jobs.number"], name="fk_study_jobs_job_jobs"),
    )
    op.create_table(
        "queue",
        sa.Column("job", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_queue"),
        sa.ForeignKeyConstraint(["job"], ["jobs.number"], name="fk_queue_job_jobs"),
    )
    op.execute(
        "INSERT INTO queue (job, priority) "
        "SELECT number, 0 FROM jobs WHERE state NOT IN ('succeeded', 'failed', 'cancelled')"
    )
    op.create_table(
        "leases",
        sa.Column("job", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("started", sa.Text(), nullable=False),
        sa.Column("heartbeat", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_leases"),
        sa.ForeignKeyConstraint(["job"], ["jobs.number"], name="fk_leases_job_jobs"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # SQLite walks the plain index backwards, since NULL is its smallest value; to PostgreSQL it is the largest.
        for name, columns in (
            ("ix_behaviours_task_best_validation_best_fitness", ["task"]),
            ("ix_behaviours_best_validation_best_fitness", []),
        ):
            op.drop_index(name, "behaviours")
            ranking = [sa.text(f"{column} DESC NULLS LAST") for column in ("best_validation", "best_fitness")]
            op.create_index(name, "behaviours", [*columns, *ranking])
