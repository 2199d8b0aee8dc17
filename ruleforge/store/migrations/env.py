"""Run by Alembic: migrate the connection that the caller hands over, inside the caller's transaction."""

from __future__ import annotations

from alembic import context

from ruleforge.store.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
