"""The tables of what is recorded for figures: of a training its histograms and curves, of an evaluation some images."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, ForeignKeyConstraint, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from harness.store.schema_base import OWNS, Base


class HistogramRow(Base):
    """How often each value of a quantity of single images was seen in an epoch: counts in bins of equal width."""

    __tablename__ = "histograms"
    __table_args__ = (
        ForeignKeyConstraint(["run_id", "epoch"], ["epochs.run_id", "epochs.epoch"], ondelete="CASCADE"),
        CheckConstraint("low < high", name="range_not_empty"),
    )

    run_id: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    low: Mapped[float]
    high: Mapped[float]
    counts: Mapped[list[int]] = mapped_column(JSON)


class CurveRow(Base):
    """An attack that was run while a network was trained, on a fixed sample of its test or training images."""

    __tablename__ = "curves"
    __table_args__ = (
        UniqueConstraint("run_id", "part", "attack", "settings_sha256", "images"),
        CheckConstraint("part IN ('test', 'train')", name="part_known"),
        CheckConstraint("images > 0", name="images_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    part: Mapped[str]
    attack: Mapped[str]
    settings: Mapped[dict[str, Any]]  # as those of an evaluation
    settings_sha256: Mapped[str]
    images: Mapped[int]  # a balanced sample

    points: Mapped[list[CurvePointRow]] = relationship(order_by="CurvePointRow.epoch", cascade=OWNS)


class CurvePointRow(Base):
    """How many images of a curve the network got right after an epoch."""

    __tablename__ = "curve_points"
    __table_args__ = (CheckConstraint("correct >= 0", name="correct_counted"),)

    curve_id: Mapped[int] = mapped_column(ForeignKey("curves.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    correct: Mapped[int]
    duration_s: Mapped[float]


class AdversarialImageRow(Base):
    """One of the first adversarial images of an evaluation, to look at."""

    __tablename__ = "adversarial_images"
    __table_args__ = (CheckConstraint("place >= 0", name="place_counted"),)

    evaluation_id: Mapped[int] = mapped_column(ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)  # among the evaluation's images
    pixels: Mapped[bytes] = mapped_column(LargeBinary)  # float32, little-endian, channel by channel; zlib
