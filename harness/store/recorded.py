"""The queries for what was recorded to look at: histograms, curves, predicted classes, and adversarial images."""

from __future__ import annotations

import zlib
from typing import cast

from sqlalchemy import Engine, select
from sqlalchemy.orm import selectinload, sessionmaker

from harness.events import Histogram, Part
from harness.store.records import AdversarialImage, Curve, EpochHistogram
from harness.store.schema import BlockRow
from harness.store.schema_records import AdversarialImageRow, CurveRow, HistogramRow
from harness.store.verdicts import unpack_classes


class Recorded:
    """The base of ``Queries``: what older runs lack."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = sessionmaker(engine).begin

    def histograms(self, run_id: int) -> list[EpochHistogram]:
        """The histograms of a training, by epoch and name."""
        rows = select(HistogramRow).where(HistogramRow.run_id == run_id)
        with self._reading() as session:
            return [
                EpochHistogram(row.epoch, Histogram(row.name, row.low, row.high, tuple(row.counts)))
                for row in session.scalars(rows.order_by(HistogramRow.epoch, HistogramRow.name))
            ]

    def curves(self, run_id: int) -> list[Curve]:
        """The curves of a training. An attack has several if its settings changed between a stop and the resumption."""
        rows = select(CurveRow).where(CurveRow.run_id == run_id).options(selectinload(CurveRow.points))
        with self._reading() as session:
            return [
                Curve(
                    part=cast(Part, row.part),
                    attack=row.attack,
                    settings=row.settings,
                    settings_sha256=row.settings_sha256,
                    images=row.images,
                    points=tuple((point.epoch, point.correct) for point in row.points),
                )
                for row in session.scalars(rows.order_by(CurveRow.id))
            ]

    def predicted(self, evaluation_id: int) -> list[int] | None:
        """The class that the network predicts for each adversarial image, in the order of the evaluation's images.

        -1 stands for logits that are not finite. None: an older version did not keep the classes of all blocks.
        """
        blocks = select(BlockRow.predicted).where(BlockRow.evaluation_id == evaluation_id)
        with self._reading() as session:
            packed = list(session.scalars(blocks.order_by(BlockRow.start)))
        kept = [part for part in packed if part is not None]
        return unpack_classes(b"".join(kept)) if len(kept) == len(packed) else None

    def adversarial_images(self, evaluation_id: int) -> list[AdversarialImage]:
        """The adversarial images that were kept of an evaluation; only its first seed has some."""
        rows = select(AdversarialImageRow).where(AdversarialImageRow.evaluation_id == evaluation_id)
        with self._reading() as session:
            return [
                AdversarialImage(row.place, zlib.decompress(row.pixels))
                for row in session.scalars(rows.order_by(AdversarialImageRow.place))
            ]
