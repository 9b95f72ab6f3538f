"""Turn database rows into records."""

from __future__ import annotations

import dataclasses

from harness.events import EpochRecord, Finding
from harness.store.records import (
    CheckpointRecord,
    DatasetRecord,
    EvaluationRecord,
    ExaminationRecord,
    ModelRecord,
    RunRecord,
)
from harness.store.schema import CheckpointRow, DatasetRow, EvaluationRow, ExaminationRow, ModelRow, RunRow


def run_record(row: RunRow) -> RunRecord:
    """A run with its epochs, checkpoints, and their evaluations."""
    names = {f.name for f in dataclasses.fields(RunRecord)} - {"dataset", "epochs", "checkpoints"}
    epochs = [{f.name: getattr(e, f.name) for f in dataclasses.fields(EpochRecord)} for e in row.epochs]
    return RunRecord(
        **{name: getattr(row, name) for name in names},
        dataset=_dataset(row.dataset),
        epochs=tuple(EpochRecord(**epoch) for epoch in epochs),
        checkpoints=tuple(checkpoint_record(c) for c in row.checkpoints),
    )


def model_record(row: ModelRow) -> ModelRecord:
    """A model from elsewhere with its evaluations and examinations."""
    names = {f.name for f in dataclasses.fields(ModelRecord)} - {"dataset", "checkpoint"}
    return ModelRecord(
        **{name: getattr(row, name) for name in names},
        dataset=_dataset(row.dataset),
        checkpoint=checkpoint_record(row.checkpoint),
    )


def _dataset(row: DatasetRow) -> DatasetRecord:
    names = {f.name: getattr(row, f.name) for f in dataclasses.fields(DatasetRecord)}
    return DatasetRecord(**names | {"class_names": None if row.class_names is None else tuple(row.class_names)})


def checkpoint_record(row: CheckpointRow) -> CheckpointRecord:
    """A checkpoint with its examinations and, of each repeated evaluation, the newest attempt."""
    newest: dict[tuple[object, ...], EvaluationRow] = {}
    for e in sorted(row.evaluations, key=lambda e: e.attempt):
        newest[e.attack, e.settings_sha256, e.seed, e.examples, e.sample] = e
    evaluations = tuple(_evaluation(e) for e in sorted(newest.values(), key=lambda e: e.id))
    examinations = tuple(_examination(e) for e in row.examinations)
    return CheckpointRecord(row.id, row.name, row.epoch, row.sha256, evaluations, examinations)


def _examination(row: ExaminationRow) -> ExaminationRecord:
    names = [f.name for f in dataclasses.fields(Finding)]
    findings = tuple(Finding(**{name: getattr(finding, name) for name in names}) for finding in row.findings)
    return ExaminationRecord(row.settings, row.created_utc, row.duration_s, row.provenance, findings)


def _evaluation(row: EvaluationRow) -> EvaluationRecord:
    return EvaluationRecord(
        id=row.id,
        attack=row.attack,
        settings=row.settings,
        settings_sha256=row.settings_sha256,
        seed=row.seed,
        examples=row.examples,
        done=sum(block.examples for block in row.blocks),
        correct=sum(block.correct for block in row.blocks),
        blocks=tuple((block.start, block.examples) for block in row.blocks),
        duration_s=sum(block.duration_s for block in row.blocks),
        warnings=tuple(dict.fromkeys(text for block in row.blocks for text in block.warnings)),
        provenance=row.provenance,
        created_utc=row.created_utc,
        sample=row.sample,
        attempt=row.attempt,
    )
