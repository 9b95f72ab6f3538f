"""Turn database rows into records."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

from harness.events import EpochRecord, Finding
from harness.store.records import (
    CheckpointRecord,
    DatasetRecord,
    EvaluationRecord,
    ExaminationRecord,
    ModelRecord,
    RunRecord,
)
from harness.store.schema import Base, CheckpointRow, DatasetRow, EvaluationRow, ExaminationRow, ModelRow, RunRow

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")


def record_of(row: Base, cls: type[Record], **others: Any) -> Record:
    """A record with the row's value for each field, except for the fields given in ``others``."""
    names = [field.name for field in dataclasses.fields(cls) if field.name not in others]
    return cls(**{name: getattr(row, name) for name in names}, **others)


def run_record(row: RunRow) -> RunRecord:
    """A run with its epochs, checkpoints, and their evaluations."""
    epochs = tuple(record_of(epoch, EpochRecord) for epoch in row.epochs)
    checkpoints = tuple(checkpoint_record(checkpoint) for checkpoint in row.checkpoints)
    return record_of(row, RunRecord, dataset=_dataset(row.dataset), epochs=epochs, checkpoints=checkpoints)


def model_record(row: ModelRow) -> ModelRecord:
    """A model from elsewhere with its evaluations and examinations."""
    return record_of(row, ModelRecord, dataset=_dataset(row.dataset), checkpoint=checkpoint_record(row.checkpoint))


def _dataset(row: DatasetRow) -> DatasetRecord:
    return record_of(row, DatasetRecord, class_names=None if row.class_names is None else tuple(row.class_names))


def checkpoint_record(row: CheckpointRow) -> CheckpointRecord:
    """A checkpoint with its examinations and, of each repeated evaluation, the newest attempt."""
    newest: dict[tuple[object, ...], EvaluationRow] = {}
    for e in sorted(row.evaluations, key=lambda e: e.attempt):
        newest[e.attack, e.settings_sha256, e.seed, e.examples, e.sample] = e
    evaluations = tuple(_evaluation(e) for e in sorted(newest.values(), key=lambda e: e.id))
    examinations = tuple(_examination(e) for e in row.examinations)
    return record_of(row, CheckpointRecord, evaluations=evaluations, examinations=examinations)


def _examination(row: ExaminationRow) -> ExaminationRecord:
    return record_of(row, ExaminationRecord, findings=tuple(record_of(found, Finding) for found in row.findings))


def _evaluation(row: EvaluationRow) -> EvaluationRecord:
    return record_of(
        row,
        EvaluationRecord,
        done=sum(block.examples for block in row.blocks),
        correct=sum(block.correct for block in row.blocks),
        blocks=tuple((block.start, block.examples) for block in row.blocks),
        duration_s=sum(block.duration_s for block in row.blocks),
        warnings=tuple(dict.fromkeys(text for block in row.blocks for text in block.warnings)),
    )
