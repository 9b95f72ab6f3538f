"""The store's queries: each method is one transaction and returns frozen dataclasses."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, defer, selectinload

from harness.errors import StoreError
from harness.reference import ReportedFigure
from harness.store.read import checkpoint_record, model_record, record_of, run_record
from harness.store.records import CheckpointRecord, ModelRecord, ProtocolRecord, RunRecord
from harness.store.schema import (
    BlockRow,
    CheckpointRow,
    EvaluationRow,
    ExaminationRow,
    ModelRow,
    ProtocolRow,
    ReportedRow,
    RunRow,
)
from harness.store.verdicts import unpack, unpack_margins

IDS_A_QUERY = 30_000  # SQLite takes 32,766 parameters

# margins and verdicts are large: they are read only by the queries that return them
_BLOCKS = selectinload(EvaluationRow.blocks).options(defer(BlockRow.margins), defer(BlockRow.verdicts))
_FINDINGS = selectinload(ExaminationRow.findings)


_WHOLE_CHECKPOINT = (
    selectinload(CheckpointRow.evaluations).options(_BLOCKS),
    selectinload(CheckpointRow.examinations).options(_FINDINGS),
)
_WHOLE_RUN = (
    selectinload(RunRow.dataset),
    selectinload(RunRow.epochs),
    selectinload(RunRow.checkpoints).options(*_WHOLE_CHECKPOINT),
)
_WHOLE_MODEL = (selectinload(ModelRow.dataset), selectinload(ModelRow.checkpoint).options(*_WHOLE_CHECKPOINT))


class Queries:
    """The reading half of the store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Session]:
        with Session(self._engine) as session, session.begin():
            yield session

    def runs(self) -> list[RunRecord]:
        """Every run, in the order of their numbers."""
        with self._reading() as session:
            rows = session.scalars(select(RunRow).options(*_WHOLE_RUN).order_by(RunRow.id))
            return [run_record(row) for row in rows]

    def run(self, run_id: int) -> RunRecord:
        """One run.

        Raises:
            StoreError: no run has that number.
        """
        with self._reading() as session:
            row = session.get(RunRow, run_id, options=_WHOLE_RUN) if 0 < run_id < 2**63 else None
            if row is None:
                raise StoreError(f"there is no run {run_id}; `harness runs` lists all runs")
            return run_record(row)

    def checkpoint(self, checkpoint_id: int) -> CheckpointRecord:
        """The checkpoint with that number, of a run or of a model from elsewhere, with its evaluations."""
        with self._reading() as session:
            return checkpoint_record(session.get_one(CheckpointRow, checkpoint_id, options=_WHOLE_CHECKPOINT))

    def newest_attempt(self, identity: str) -> RunRecord | None:
        """The newest run of an identity."""
        with self._reading() as session:
            newest = select(RunRow).where(RunRow.identity == identity).order_by(RunRow.attempt.desc()).limit(1)
            row = session.scalar(newest.options(*_WHOLE_RUN))
            return run_record(row) if row is not None else None

    def models(self) -> list[ModelRecord]:
        """Every model from elsewhere, in the order of their numbers."""
        with self._reading() as session:
            rows = session.scalars(select(ModelRow).options(*_WHOLE_MODEL).order_by(ModelRow.id))
            return [model_record(row) for row in rows]

    def protocols(self) -> list[ProtocolRecord]:
        """Every protocol that was used, oldest first."""
        with self._reading() as session:
            rows = session.scalars(select(ProtocolRow).order_by(ProtocolRow.id))
            return [record_of(row, ProtocolRecord) for row in rows]

    def reported(self) -> list[ReportedFigure]:
        """Every figure that a paper reports, in the order of its tables."""
        with self._reading() as session:
            rows = session.scalars(select(ReportedRow).order_by(ReportedRow.id))
            return [record_of(row, ReportedFigure) for row in rows]

    def blocks(self, evaluation_id: int) -> list[tuple[int, int]]:
        """The blocks that an evaluation has: first example and number of examples, in order."""
        blocks = select(BlockRow.start, BlockRow.examples).where(BlockRow.evaluation_id == evaluation_id)
        with self._reading() as session:
            return [(start, examples) for start, examples in session.execute(blocks.order_by(BlockRow.start))]

    def verdicts(self, evaluation_id: int) -> bytes:
        """One evaluation's verdicts: one byte an image, in order; blocks that are not done are missing."""
        return self.verdicts_of([evaluation_id])[evaluation_id]

    def verdicts_of(self, evaluation_ids: Collection[int]) -> dict[int, bytes]:
        """The verdicts of many evaluations: evaluation -> as ``verdicts`` returns them."""
        found = dict.fromkeys(sorted(evaluation_ids), b"")
        columns = (BlockRow.evaluation_id, BlockRow.verdicts, BlockRow.examples)
        with self._reading() as session:
            for start in range(0, len(found), IDS_A_QUERY):
                some = list(found)[start : start + IDS_A_QUERY]
                blocks = select(*columns).where(BlockRow.evaluation_id.in_(some)).order_by(BlockRow.start)
                for number, verdicts, examples in session.execute(blocks):
                    found[number] += unpack(verdicts, examples)
        return found

    def previous_attempt(self, evaluation_id: int) -> int | None:
        """The number of the attempt before this evaluation; None for a first attempt."""
        with self._reading() as session:
            row = session.get_one(EvaluationRow, evaluation_id)
            names = ("checkpoint_id", "attack", "settings_sha256", "seed", "examples", "sample")
            alike = select(EvaluationRow.id).filter_by(**{name: getattr(row, name) for name in names})
            return session.scalar(
                alike.where(EvaluationRow.attempt < row.attempt).order_by(EvaluationRow.attempt.desc()).limit(1)
            )

    def margins(self, evaluation_id: int) -> list[float] | None:
        """One evaluation's margins, in the order of its images; None where an older version did not keep them.

        A margin is ``p_y(x_adv) - max_{i != y} p_i(x_adv)``, in [-1, 1], stored with three to four digits.
        """
        with self._reading() as session:
            query = select(BlockRow.margins).where(BlockRow.evaluation_id == evaluation_id).order_by(BlockRow.start)
            packed = list(session.scalars(query))
        kept = [part for part in packed if part is not None]
        return unpack_margins(b"".join(kept)) if len(kept) == len(packed) else None
