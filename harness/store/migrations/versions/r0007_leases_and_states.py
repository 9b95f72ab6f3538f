"""Who works on what, and what became of each run: leases and states. The overview of runs shows the newest state.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_STATES = "state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'lost', 'preempted')"

STATES = """
CREATE VIEW states_overview AS
SELECT
    run_states.run_id AS run,
    run_states.state,
    run_states.at_utc,
    run_states.host,
    run_states.process,
    run_states.user_name,
    run_states.reason,
    CASE WHEN run_states.id IN (SELECT MAX(id) FROM run_states GROUP BY run_id) THEN 1 ELSE 0 END AS newest
FROM run_states
"""


def upgrade() -> None:
    """Add tables and a view; nothing is known of older runs."""
    op.create_table(
        "leases",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("process", sa.String(), nullable=False),
        sa.Column("user_name", sa.String(), nullable=False),
        sa.Column("taken_utc", sa.DateTime(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_leases_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leases")),
        sa.UniqueConstraint("item", name=op.f("uq_leases_item")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "run_states",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("at_utc", sa.DateTime(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("process", sa.String(), nullable=False),
        sa.Column("user_name", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.CheckConstraint(_STATES, name=op.f("ck_run_states_state_known")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_states_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_states")),
    )
    op.create_index(op.f("ix_run_states_run_id"), "run_states", ["run_id"])
    op.execute(STATES)
