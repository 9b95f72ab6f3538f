"""The reading half of the store: each query is one transaction and returns frozen dataclasses."""

from __future__ import annotations

import dataclasses
import itertools
import shlex
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import defer, selectinload

from harness.errors import StoreError, quoted, visible
from harness.events import EpochRecord, Finding
from harness.protocols.run_spec import TRIAL_SEED
from harness.reference import ReportedFigure
from harness.store.attempts import counting_and_begun
from harness.store.older_findings import as_said_now
from harness.store.recorded import IDS_A_QUERY, Recorded, kept_bytes
from harness.store.records import (
    CheckpointRecord,
    DatasetRecord,
    EvaluationRecord,
    ExaminationRecord,
    ModelRecord,
    ProtocolRecord,
    RunRecord,
)
from harness.store.schema import (
    METADATA,
    BlockRow,
    CheckpointRow,
    DatasetRow,
    EvaluationRow,
    ExaminationRow,
    ModelRow,
    ProtocolRow,
    RemovedAttemptRow,
    RunRow,
)
from harness.store.schema_base import Base
from harness.store.soundness import block_problems, count_problems, damage_of, place_problems, refuse_unsound
from harness.store.typed import refuse_missing_values
from harness.store.typed_columns import TypedColumns
from harness.store.verdicts import Judgements, PackedBlock, unpack, unpack_margins

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")

# what there is for each image is large: it is read only by the queries that return it; but counts need their bits
_LARGE = (BlockRow.margins, BlockRow.predicted)
_BLOCKS = selectinload(EvaluationRow.blocks).options(*map(defer, _LARGE))
_WHOLE_CHECKPOINT = (
    selectinload(CheckpointRow.evaluations).options(_BLOCKS),
    selectinload(CheckpointRow.examinations).selectinload(ExaminationRow.findings),
)
_WHOLE_RUN = (
    selectinload(RunRow.dataset),
    selectinload(RunRow.epochs),
    selectinload(RunRow.checkpoints).options(*_WHOLE_CHECKPOINT),
)
_MOST_DIGITS = 19  # of the largest number that SQLite has
_SOME_ROWS = {"yield_per": 100}  # so that the bits of few runs are in memory at a time
WHOLE_MODEL = (selectinload(ModelRow.dataset), selectinload(ModelRow.checkpoint).options(*_WHOLE_CHECKPOINT))


class Queries(Recorded):
    """The base of ``Store``: its queries."""

    def run(self, run_id: int) -> RunRecord:
        """One run; StoreError if no run has that number."""
        with self._reading() as session:
            row = session.get(RunRow, run_id, options=_WHOLE_RUN) if 0 < run_id < 2**63 else None
            if row is None:
                raise no_such_run(run_id)
            return run_record(row)

    def numbered(self, digits: str) -> RunRecord:
        """The run whose number a user typed; StoreError if no run has it. Python converts no thousands of digits."""
        if len(digits) > _MOST_DIGITS:
            raise StoreError(f"there is no run {quoted(digits)}; `harness runs` lists all runs")
        return self.run(int(digits))

    def checkpoint(self, checkpoint_id: int) -> CheckpointRecord:
        """The checkpoint with that number, of a run or of a model from elsewhere, with its evaluations."""
        with self._reading() as session:
            return checkpoint_record(session.get_one(CheckpointRow, checkpoint_id, options=_WHOLE_CHECKPOINT))

    def newest_runs(self) -> list[int]:
        """The number of each identity's newest run that is done, in order: the runs that count on the leaderboard.

        No trial of a tuning is among them.
        """
        done = RunRow.status == "done", RunRow.train_seed != TRIAL_SEED
        with self._reading() as session:
            return sorted(session.scalars(select(func.max(RunRow.id)).where(*done).group_by(RunRow.identity)))

    def newest_attempt(self, identity: str) -> RunRecord | None:
        """The newest run of an identity."""
        with self._reading() as session:
            newest = select(RunRow).where(RunRow.identity == identity).order_by(RunRow.attempt.desc()).limit(1)
            row = session.scalar(newest.options(*_WHOLE_RUN))
            return run_record(row) if row is not None else None

    def removed_attempts(self) -> dict[str, int]:
        """The last attempt that was removed of each run, by the run's identity."""
        with self._reading() as session:
            return {row.identity: row.attempt for row in session.scalars(select(RemovedAttemptRow))}

    def provenances(self, run_ids: Collection[int]) -> dict[int, dict[str, Any]]:
        """The provenance of each of some runs that there are, by number."""
        found: dict[int, dict[str, Any]] = {}
        numbers, columns = sorted(run_ids), (RunRow.id, RunRow.provenance)
        with self._reading() as session:
            for first in range(0, len(numbers), IDS_A_QUERY):
                some = RunRow.id.in_(numbers[first : first + IDS_A_QUERY])
                found.update(map(tuple, session.execute(select(*columns).where(some))))
        return found

    def models(self) -> list[ModelRecord]:
        """Every model from elsewhere, in the order of their numbers."""
        with self._reading() as session:
            every = select(ModelRow).options(*WHOLE_MODEL).order_by(ModelRow.id)
            rows = session.scalars(every, execution_options=_SOME_ROWS)
            return [model_record(row) for row in rows]

    def protocols(self) -> list[ProtocolRecord]:
        """Every protocol that was used, oldest first."""
        with self._reading() as session:
            rows = session.scalars(select(ProtocolRow).order_by(ProtocolRow.id))
            return [record_of(row, ProtocolRecord) for row in rows]

    def reported(self) -> list[ReportedFigure]:
        """Every figure that a paper reports, in the order of its tables."""
        columns = METADATA.tables["reported"].c
        every = select(*(columns[field.name] for field in dataclasses.fields(ReportedFigure))).order_by(columns.id)
        with self._reading() as session:
            return [ReportedFigure(*values) for values in TypedColumns(session).rows(every)]

    def blocks(self, evaluation_id: int) -> list[tuple[int, int]]:
        """The blocks that an evaluation has: first example and number of examples, in order."""
        return self.blocks_of([evaluation_id])[evaluation_id]

    def blocks_of(self, evaluation_ids: Collection[int]) -> dict[int, list[tuple[int, int]]]:
        """The blocks of many evaluations: evaluation -> as ``blocks`` returns them."""
        found: dict[int, list[tuple[int, int]]] = {number: [] for number in evaluation_ids}
        columns, numbers = (BlockRow.evaluation_id, BlockRow.start, BlockRow.examples), list(found)
        with self._reading() as session:
            for first in range(0, len(numbers), IDS_A_QUERY):
                some = BlockRow.evaluation_id.in_(numbers[first : first + IDS_A_QUERY])
                for number, start, examples in session.execute(select(*columns).where(some).order_by(BlockRow.start)):
                    found[number].append((start, examples))
        return found

    def verdicts(self, evaluation_id: int) -> bytes:
        """One evaluation's verdicts: one byte an image, in order; blocks that are not done are missing."""
        return self.verdicts_of([evaluation_id])[evaluation_id]

    def verdicts_of(self, evaluation_ids: Collection[int]) -> dict[int, bytes]:
        """The verdicts of many evaluations: evaluation -> as ``verdicts`` returns them."""
        found = dict.fromkeys(sorted(evaluation_ids), b"")
        columns = (BlockRow.evaluation_id, BlockRow.start, BlockRow.examples, BlockRow.correct, BlockRow.verdicts)
        with self._reading() as session:
            for start in range(0, len(found), IDS_A_QUERY):
                some = list(found)[start : start + IDS_A_QUERY]
                blocks = select(*columns).where(BlockRow.evaluation_id.in_(some)).order_by(BlockRow.start)
                for number, first, examples, correct, verdicts in session.execute(blocks):
                    refuse_unsound(
                        f"evaluation {number}, block at {first}", count_problems(examples, correct, verdicts)
                    )
                    found[number] += unpack(verdicts, examples)
        return found

    def previous_attempt(self, evaluation_id: int) -> int | None:
        """The number of the newest complete attempt before this evaluation; None if there is none."""
        done = select(func.sum(BlockRow.examples)).where(BlockRow.evaluation_id == EvaluationRow.id).scalar_subquery()
        with self._reading() as session:
            row = session.get_one(EvaluationRow, evaluation_id)
            names = ("checkpoint_id", "attack", "settings_sha256", "seed", "examples", "sample")
            alike = select(EvaluationRow.id).filter_by(**{name: getattr(row, name) for name in names})
            earlier = alike.where(EvaluationRow.attempt < row.attempt, done == EvaluationRow.examples)
            return session.scalar(earlier.order_by(EvaluationRow.attempt.desc()).limit(1))

    def margins(self, evaluation_id: int) -> list[float] | None:
        """One evaluation's margins, in the order of its images; None where an older version did not keep them.

        A margin is ``p_y(x_adv) - max_{i != y} p_i(x_adv)``, in [-1, 1], stored with three to four digits.
        """
        with self._reading() as session:
            kept = kept_bytes(session, BlockRow.margins, evaluation_id)
        return None if kept is None else unpack_margins(kept)

    def judgements(self, evaluations: Mapping[int, int]) -> Judgements:
        """What is kept of each image of many evaluations, one evaluation after the other.

        The blocks are read one after the other, so that few are in memory at a time.

        Args:
            evaluations: evaluation -> how many images it has, in the order that is wanted.
        """
        first = dict(zip(evaluations, itertools.accumulate(evaluations.values(), initial=0), strict=False))
        found, numbers = Judgements.of(sum(evaluations.values())), list(evaluations)
        columns = [getattr(BlockRow, name) for name in PackedBlock._fields]
        with self._reading() as session:
            for start in range(0, len(numbers), IDS_A_QUERY):
                blocks = select(*columns).where(BlockRow.evaluation_id.in_(numbers[start : start + IDS_A_QUERY]))
                for row in session.execute(blocks.execution_options(yield_per=100)):
                    block = PackedBlock(*row)
                    images, place = evaluations[block.evaluation_id], (block.start, block.examples)
                    problems = itertools.chain(block_problems(block), place_problems(images, [place]))
                    refuse_unsound(f"evaluation {block.evaluation_id}, block at {block.start}", problems)
                    found.put(first[block.evaluation_id] + block.start, block)
        return found


def no_such_run(run_id: int) -> StoreError:
    """The error where no run has that number."""
    return StoreError(f"there is no run {run_id}; `harness runs` lists all runs")


def record_of(row: Base, cls: type[Record], **others: Any) -> Record:
    """A record with the row's value for each field, except for the fields given in ``others``."""
    values = {field.name: getattr(row, field.name) for field in dataclasses.fields(cls) if field.name not in others}
    if None in values.values():
        refuse_missing_values(row, [name for name, value in values.items() if value is None])
    return cls(**values, **others)


def run_record(row: RunRow) -> RunRecord:
    """A run with its epochs, checkpoints, and their evaluations."""
    epochs = tuple(record_of(epoch, EpochRecord, histograms=(), curve=()) for epoch in row.epochs)
    checkpoints = tuple(checkpoint_record(checkpoint, str(row.id)) for checkpoint in row.checkpoints)
    parts = {"epochs": epochs, "checkpoints": checkpoints, "tags": tuple(row.tags)}
    return record_of(row, RunRecord, dataset=dataset_record(row.dataset, "runs", row.id), earlier=(), **parts)


def model_record(row: ModelRow) -> ModelRecord:
    """A model from elsewhere with its evaluations and examinations."""
    checkpoint: CheckpointRow | None = row.checkpoint
    if checkpoint is None:
        raise lost_part("models", row.id, "checkpoint")
    parts = {"checkpoint": checkpoint_record(checkpoint, shlex.quote(row.name)), "tags": tuple(row.tags)}
    return record_of(row, ModelRecord, dataset=dataset_record(row.dataset, "models", row.id), **parts)


def lost_part(table: str, number: int, part: str) -> StoreError:
    """The error for a row that refers to another one, which the database lacks."""
    return StoreError(
        f"the database is damaged, or another program wrote to it: the row id {number} of the table"
        f" {table} has no {part}; give another --db, or a copy from before"
    )


def dataset_record(row: DatasetRow | None, table: str, number: int) -> DatasetRecord:
    """The data set of a row of that table; StoreError if the database lacks it."""
    if row is None:
        raise lost_part(table, number, "data set")
    return record_of(row, DatasetRecord, class_names=None if row.class_names is None else tuple(row.class_names))


def checkpoint_record(row: CheckpointRow, owner: str | None = None) -> CheckpointRecord:
    """A checkpoint with its examinations and, of each evaluation, the attempt that counts.

    Args:
        owner: how ``harness rm`` names the run or the model that it belongs to.
    """
    counting, begun = counting_and_begun(evaluation_record(e, owner) for e in row.evaluations)
    examinations = tuple(_examination(e) for e in row.examinations)
    return record_of(row, CheckpointRecord, evaluations=counting, examinations=examinations, begun=begun)


def _examination(row: ExaminationRow) -> ExaminationRecord:
    findings = tuple(as_said_now(record_of(found, Finding)) for found in row.findings)
    return record_of(row, ExaminationRecord, findings=findings)


def evaluation_record(row: EvaluationRow, owner: str | None) -> EvaluationRecord:
    """An evaluation with the sums over its blocks, and what is wrong with them; ``owner`` as ``checkpoint_record``."""
    counts = (count_problems(block.examples, block.correct, block.verdicts) for block in row.blocks)
    places = place_problems(row.examples, [(block.start, block.examples) for block in row.blocks])
    what = f"evaluation {row.id} ({visible(row.attack)}, seed {row.seed})"
    return record_of(
        row,
        EvaluationRecord,
        done=sum(block.examples for block in row.blocks),
        correct=sum(block.correct for block in row.blocks),
        blocks=tuple((block.start, block.examples) for block in row.blocks),
        duration_s=sum(block.duration_s for block in row.blocks),
        warnings=tuple(dict.fromkeys(text for block in row.blocks for text in block.warnings)),
        damage=damage_of(what, itertools.chain(*counts, places), owner),
    )
