"""Alembic's entry point: runs the steps on the caller's connection, inside the caller's transaction."""

from alembic import context

from harness.store.schema import METADATA
from harness.store.schema_base import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,  # works on SQLite because our engine issues BEGIN itself
)
with context.begin_transaction():
    context.run_migrations()
