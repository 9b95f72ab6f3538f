"""From rows to records."""

from __future__ import annotations

import dataclasses

from harness.events import EpochRecord
from harness.store.records import CheckpointRecord, DatasetRecord, EvaluationRecord, RunRecord
from harness.store.schema import CheckpointRow, EvaluationRow, RunRow


def run_record(row: RunRow) -> RunRecord:
    """A run with all that hangs on it."""
    names = {f.name for f in dataclasses.fields(RunRecord)} - {"dataset", "epochs", "checkpoints"}
    dataset = {f.name: getattr(row.dataset, f.name) for f in dataclasses.fields(DatasetRecord)}
    epochs = [{f.name: getattr(e, f.name) for f in dataclasses.fields(EpochRecord)} for e in row.epochs]
    return RunRecord(
        **{name: getattr(row, name) for name in names},
        dataset=DatasetRecord(**dataset),
        epochs=tuple(EpochRecord(**epoch) for epoch in epochs),
        checkpoints=tuple(_checkpoint(c) for c in row.checkpoints),
    )


def _checkpoint(row: CheckpointRow) -> CheckpointRecord:
    evaluations = tuple(_evaluation(e) for e in row.evaluations)
    return CheckpointRecord(row.id, row.name, row.epoch, row.sha256, evaluations)


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
    )
