"""The queries for what was recorded to look at: histograms, curves, predicted classes, and adversarial images."""

from __future__ import annotations

import contextlib
import math
import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, cast

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, selectinload, sessionmaker

from harness.errors import StoreError, visible
from harness.events import Histogram, Part
from harness.store.records import AdversarialImage, Curve, EpochHistogram
from harness.store.schema import (
    METADATA,
    BlockRow,
    CheckpointRow,
    DatasetRow,
    EpochRow,
    EvaluationRow,
    ModelRow,
    RunRow,
)
from harness.store.schema_records import AdversarialImageRow, CurveRow, HistogramRow
from harness.store.soundness import length_problems, refuse_unsound
from harness.store.typed import naming_rows
from harness.store.validated import ValidatedEpoch, validated_epochs
from harness.store.verdicts import unpack_classes

_FLOAT_BYTES = 4
IDS_A_QUERY = 30_000  # SQLite takes 32,766 parameters


class Recorded:
    """The base of ``Queries``: what older runs lack."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions = sessionmaker(engine)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Session]:
        """A transaction that reads; what it reads has the types that the schema says."""
        with self._sessions.begin() as session, naming_rows(session, METADATA.tables):
            yield session

    def histograms(self, run_id: int) -> list[EpochHistogram]:
        """The histograms of a training, by epoch and name."""
        return self.histograms_of([run_id])[run_id]

    def histograms_of(self, run_ids: Iterable[int]) -> dict[int, list[EpochHistogram]]:
        """The histograms of many trainings: run -> as ``histograms`` returns them."""
        found: dict[int, list[EpochHistogram]] = {number: [] for number in run_ids}
        rows = select(HistogramRow)
        with self._reading() as session:
            for some in _some(found):
                for row in session.scalars(rows.where(HistogramRow.run_id.in_(some))):
                    counted = Histogram(row.name, row.low, row.high, tuple(row.counts))
                    found[row.run_id].append(EpochHistogram(row.epoch, counted))
        for histograms in found.values():  # here, since each database orders texts its way
            histograms.sort(key=lambda one: (one.epoch, one.histogram.name))
        return found

    def curves(self, run_id: int) -> list[Curve]:
        """The curves of a training. An attack has several if its settings changed between a stop and the resumption."""
        return self.curves_of([run_id])[run_id]

    def curves_of(self, run_ids: Iterable[int]) -> dict[int, list[Curve]]:
        """The curves of many trainings: run -> as ``curves`` returns them."""
        found: dict[int, list[Curve]] = {number: [] for number in run_ids}
        rows = select(CurveRow).options(selectinload(CurveRow.points)).order_by(CurveRow.id)
        with self._reading() as session:
            for some in _some(found):
                for row in session.scalars(rows.where(CurveRow.run_id.in_(some))):
                    found[row.run_id].append(_curve(row))
        return found

    def validated_of(self, run_ids: Iterable[int]) -> dict[int, tuple[ValidatedEpoch, ...]]:
        """What many trainings reached on the images held out: run -> its epochs so far; empty if it holds out none."""
        found: dict[int, list[tuple[int, dict[str, Any]]]] = {number: [] for number in run_ids}
        trainings: dict[int, dict[str, Any]] = {}
        with self._reading() as session:
            for some in _some(found):
                runs = select(RunRow.id, RunRow.training).where(RunRow.id.in_(some))
                for number, training in session.execute(runs):
                    trainings[number] = training
                epochs = select(EpochRow.run_id, EpochRow.epoch, EpochRow.diagnostics)
                for number, epoch, diagnostics in session.execute(epochs.where(EpochRow.run_id.in_(some))):
                    found[number].append((epoch, diagnostics))
        return {number: validated_epochs(epochs, trainings.get(number, {})) for number, epochs in found.items()}

    def predicted(self, evaluation_id: int) -> list[int] | None:
        """The class that the network predicts for each adversarial image, in the order of the evaluation's images.

        -1 stands for logits that are not finite. None: an older version did not keep the classes of all blocks.
        """
        with self._reading() as session:
            kept = kept_bytes(session, BlockRow.predicted, evaluation_id)
        return None if kept is None else unpack_classes(kept)

    def adversarial_images(self, evaluation_id: int) -> list[AdversarialImage]:
        """The adversarial images that were kept of an evaluation; only its first seed has some.

        Raises:
            StoreError: an image is damaged.
        """
        images = select(AdversarialImageRow.place, AdversarialImageRow.pixels)
        images = images.where(AdversarialImageRow.evaluation_id == evaluation_id).order_by(AdversarialImageRow.place)
        with self._reading() as session:
            rows = list(session.execute(images))
        size = _FLOAT_BYTES * math.prod(self.evaluated(evaluation_id)[1]) if rows else 0
        what = f"of evaluation {evaluation_id}"
        return [AdversarialImage(place, _pixels(f"image {place} {what}", packed, size)) for place, packed in rows]

    def evaluated(self, evaluation_id: int) -> tuple[int, tuple[int, int, int]]:
        """How many images an evaluation has, complete or not, and their shape: channels, height, width.

        Raises:
            StoreError: there is no such evaluation.
        """
        dataset = func.coalesce(RunRow.dataset_id, ModelRow.dataset_id)
        shape = select(EvaluationRow.examples, DatasetRow.channels, DatasetRow.height, DatasetRow.width)
        owned = shape.join(CheckpointRow, CheckpointRow.id == EvaluationRow.checkpoint_id)
        owned = owned.outerjoin(RunRow, RunRow.id == CheckpointRow.run_id)
        owned = owned.outerjoin(ModelRow, ModelRow.id == CheckpointRow.model_id)
        owned = owned.join(DatasetRow, DatasetRow.id == dataset).where(EvaluationRow.id == evaluation_id)
        with self._reading() as session:
            found = session.execute(owned).first() if 0 < evaluation_id < 2**63 else None
        if found is None:
            raise StoreError(f"there is no evaluation {evaluation_id}; the table of evaluations has their numbers")
        return found[0], (found[1], found[2], found[3])


def kept_bytes(session: Session, column: InstrumentedAttribute[bytes | None], evaluation_id: int) -> bytes | None:
    """What a column of blocks has of an evaluation, two bytes an image; None if a block of an older version lacks it.

    Raises:
        StoreError: a block has more or fewer bytes than its images.
    """
    blocks = select(BlockRow.start, BlockRow.examples, column).where(BlockRow.evaluation_id == evaluation_id)
    found = list(session.execute(blocks.order_by(BlockRow.start)))
    for start, examples, kept in found:
        if kept is not None:
            refuse_unsound(f"evaluation {evaluation_id}, block at {start}", length_problems(column.key, examples, kept))
    parts = [kept for *_, kept in found if kept is not None]
    return b"".join(parts) if len(parts) == len(found) else None


def _pixels(what: str, packed: bytes, size: int) -> bytes:
    """The pixels of an image, of so many bytes; a few packed bytes can stand for gigabytes, so no more is unpacked."""
    try:
        pixels = zlib.decompressobj().decompress(packed, max(1, min(size + 1, sys.maxsize)))
    except zlib.error:
        pixels = b""
    right = len(pixels) == size
    refuse_unsound(what, [] if right else [f"its pixels are not the {size} bytes of an image of its data set"])
    return pixels


def _some(numbers: Iterable[int]) -> Iterator[list[int]]:
    """The numbers, as many at once as a query takes."""
    every = list(numbers)
    return (every[start : start + IDS_A_QUERY] for start in range(0, len(every), IDS_A_QUERY))


def _curve(row: CurveRow) -> Curve:
    for point in row.points:
        wrong = [] if point.correct <= row.images else [f"it counts {point.correct} of {row.images} images as right"]
        refuse_unsound(f"the curve of {visible(row.attack)} after epoch {point.epoch} of run {row.run_id}", wrong)
    return Curve(
        part=cast(Part, row.part),
        attack=row.attack,
        settings=row.settings,
        settings_sha256=row.settings_sha256,
        images=row.images,
        points=tuple((point.epoch, point.correct) for point in row.points),
    )
