"""Alembic's entry: runs the steps on the connection, and in the transaction, that the caller holds."""

from alembic import context

from harness.store.schema import VERSION_TABLE, Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,  # SQLite can, since the engine begins transactions itself
)
with context.begin_transaction():
    context.run_migrations()
