"""Models from elsewhere, checks of rigour, and a margin beside every verdict.

A checkpoint belongs to a run or to a model from elsewhere; older blocks have no margins.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add three tables and two columns. SQLite's foreign keys must be off: altering a table drops and remakes it."""
    op.create_table(
        "models",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("network_settings", sa.JSON(), nullable=False),
        sa.Column("network_departures", sa.JSON(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("parameters", sa.Integer(), nullable=False),
        sa.Column("created_utc", sa.DateTime(), nullable=False),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_models_dataset_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("identity", name=op.f("uq_models_identity")),
        sa.UniqueConstraint("dataset_id", "name", name=op.f("uq_models_dataset_id")),
    )
    with op.batch_alter_table("checkpoints") as batch:
        batch.alter_column("run_id", existing_type=sa.Integer(), nullable=True)
        batch.alter_column("epoch", existing_type=sa.Integer(), nullable=True)
        batch.add_column(sa.Column("model_id", sa.Integer(), nullable=True))
        batch.create_foreign_key(op.f("fk_checkpoints_model_id"), "models", ["model_id"], ["id"], ondelete="CASCADE")
        batch.create_unique_constraint(op.f("uq_checkpoints_model_id"), ["model_id"])
        batch.create_check_constraint(op.f("ck_checkpoints_one_owner"), "(run_id IS NULL) != (model_id IS NULL)")
        batch.create_check_constraint(op.f("ck_checkpoints_epoch_of_a_run"), "(run_id IS NULL) = (epoch IS NULL)")
    op.add_column("blocks", sa.Column("margins", sa.LargeBinary(), nullable=True))
    op.create_table(
        "examinations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("checkpoint_id", sa.Integer(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("settings_sha256", sa.String(), nullable=False),
        sa.Column("created_utc", sa.DateTime(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"], ["checkpoints.id"], name=op.f("fk_examinations_checkpoint_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_examinations")),
        sa.UniqueConstraint("checkpoint_id", "settings_sha256", name=op.f("uq_examinations_checkpoint_id")),
    )
    op.create_table(
        "findings",
        sa.Column("examination_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("check", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("threshold", sa.Double(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.CheckConstraint("status IN ('passed', 'flagged', 'not-applicable')", name=op.f("ck_findings_status_known")),
        sa.ForeignKeyConstraint(
            ["examination_id"], ["examinations.id"], name=op.f("fk_findings_examination_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("examination_id", "position", name=op.f("pk_findings")),
    )
