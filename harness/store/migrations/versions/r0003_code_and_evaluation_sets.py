"""Which code made a result, which test images an evaluation took, and evaluations that are repeated.

What is older was made by plugins that shipped at their first version, on the first test images, once.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEY = "uq_evaluations_checkpoint_id"


def upgrade() -> None:
    """Add columns, and widen what tells evaluations apart. SQLite's foreign keys must be off, as for 0002."""
    op.add_column("runs", sa.Column("code", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("models", sa.Column("code", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("models", sa.Column("probe", sa.JSON(), nullable=True))
    op.add_column("datasets", sa.Column("class_names", sa.JSON(), nullable=True))
    op.add_column("reported", sa.Column("statistic", sa.String(), nullable=False, server_default="median"))
    op.add_column("reported", sa.Column("n", sa.Integer(), nullable=True))
    with op.batch_alter_table("evaluations") as batch:
        batch.add_column(sa.Column("sample", sa.String(), nullable=False, server_default="first"))
        batch.add_column(sa.Column("attempt", sa.Integer(), nullable=False, server_default="1"))
        batch.drop_constraint(op.f(_KEY), type_="unique")
        batch.create_unique_constraint(
            op.f(_KEY), ["checkpoint_id", "attack", "settings_sha256", "seed", "examples", "sample", "attempt"]
        )
        batch.create_check_constraint(op.f("ck_evaluations_sample_known"), "sample IN ('first', 'balanced')")
        batch.create_check_constraint(op.f("ck_evaluations_attempt_counted"), "attempt >= 1")
