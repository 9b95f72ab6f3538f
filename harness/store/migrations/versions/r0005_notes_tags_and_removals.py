"""Notes and tags of runs and models, and runs that can be removed without a trace in later ones.

A removed row's number is never given again. The attempts of removed runs are counted on, so that no later attempt takes
the folder, and with it the training state, of a removed one.

Revision ID: 0005
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_VIEWS = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'view' ORDER BY rowid")


def upgrade() -> None:
    """Add columns and a table, and have SQLite give each number once. Its foreign keys must be off, as for 0002."""
    op.create_table(
        "removed_attempts",
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.CheckConstraint("attempt >= 1", name=op.f("ck_removed_attempts_attempt_counted")),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_removed_attempts")),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    # SQLite cannot rename the rebuilt table to its name while a view refers to it
    views = op.get_bind().execute(_VIEWS).all() if sqlite else []
    for name, _ in views:
        op.execute(f'DROP VIEW "{name}"')
    once: dict[str, Any] = {"recreate": "always", "table_kwargs": {"sqlite_autoincrement": True}} if sqlite else {}
    for table in ("runs", "models", "checkpoints", "evaluations"):
        with op.batch_alter_table(table, **once) as batch:
            if table in ("runs", "models"):
                batch.add_column(sa.Column("note", sa.String(), nullable=True))
                batch.add_column(sa.Column("tags", sa.JSON(), nullable=False, server_default="[]"))
    for _, statement in views:
        op.execute(statement)
