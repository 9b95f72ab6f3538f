"""What figures are drawn from: histograms and curves of a training, predicted classes, some adversarial images.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CURVES = """
CREATE VIEW curves_overview AS
SELECT
    runs.id AS run,
    runs.method,
    runs.network,
    datasets.name AS dataset,
    runs.train_seed,
    curves.part,
    curves.attack,
    curves.settings_sha256,
    curves.images,
    curve_points.epoch,
    curve_points.correct,
    CAST(100.0 * curve_points.correct AS DOUBLE PRECISION) / curves.images AS percent,
    curve_points.duration_s
FROM curve_points
JOIN curves ON curves.id = curve_points.curve_id
JOIN runs ON runs.id = curves.run_id
JOIN datasets ON datasets.id = runs.dataset_id
"""


def upgrade() -> None:
    """Add tables, a column, and a view; older runs have nothing in them."""
    op.create_table(
        "histograms",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.CheckConstraint("low < high", name=op.f("ck_histograms_range_not_empty")),
        sa.ForeignKeyConstraint(
            ["run_id", "epoch"],
            ["epochs.run_id", "epochs.epoch"],
            name=op.f("fk_histograms_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "epoch", "name", name=op.f("pk_histograms")),
    )
    op.create_table(
        "curves",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("attack", sa.String(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("settings_sha256", sa.String(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.CheckConstraint("part IN ('test', 'train')", name=op.f("ck_curves_part_known")),
        sa.CheckConstraint("images > 0", name=op.f("ck_curves_images_positive")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_curves_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_curves")),
        sa.UniqueConstraint("run_id", "part", "attack", "settings_sha256", "images", name=op.f("uq_curves_run_id")),
    )
    op.create_table(
        "curve_points",
        sa.Column("curve_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("correct", sa.Integer(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.CheckConstraint("correct >= 0", name=op.f("ck_curve_points_correct_counted")),
        sa.ForeignKeyConstraint(["curve_id"], ["curves.id"], name=op.f("fk_curve_points_curve_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("curve_id", "epoch", name=op.f("pk_curve_points")),
    )
    op.create_table(
        "adversarial_images",
        sa.Column("evaluation_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("pixels", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("place >= 0", name=op.f("ck_adversarial_images_place_counted")),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name=op.f("fk_adversarial_images_evaluation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "place", name=op.f("pk_adversarial_images")),
    )
    op.add_column("blocks", sa.Column("predicted", sa.LargeBinary(), nullable=True))
    op.execute(CURVES)
