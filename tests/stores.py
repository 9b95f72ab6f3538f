"""What tests put into a store: protocols, runs, checkpoints, and evaluations with the verdicts that they choose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import text

from harness.events import BlockDone
from harness.identity import digest
from harness.plugin.dataset import Dataset
from harness.protocols.run_spec import RunSpec
from harness.store.records import CheckpointRecord, DatasetRecord, ProtocolRecord, RunRecord
from harness.store.store import Store
from tests.tiny import PROTOCOL_DOCUMENT

DIGITS = DatasetRecord("digits", "f" * 64, 1437, 360, 1, 8, 8, 10)


def make_spec(dataset: DatasetRecord | Dataset = DIGITS, **changes: Any) -> RunSpec:
    fields: dict[str, Any] = {
        "method": "sat",
        "method_settings": {},
        "network": "smallcnn",
        "network_settings": {},
        "dataset": dataset.name,
        "dataset_fingerprint": dataset.fingerprint,
        "training": {},
        "train_seed": 0,
    }
    return RunSpec(**(fields | changes))


def see_protocol(
    store: Store,
    settings: Mapping[str, Any],
    training: dict[str, Any],
    *,
    fingerprint: str = "1" * 64,
    name: str = "tiny",
    document: dict[str, Any] = PROTOCOL_DOCUMENT,
) -> None:
    """Keep a protocol of these attacks, each with its settings."""
    attacks = {attack: digest(values) for attack, values in settings.items()}
    store.see_protocol(ProtocolRecord(fingerprint, name, digest(training), attacks, document), training)


def start(store: Store, spec: RunSpec, dataset: DatasetRecord = DIGITS, **changes: Any) -> RunRecord:
    """Open a run; no setting departs from its default, unless the changes say so."""
    fields: dict[str, Any] = {"method_departures": {}, "network_departures": {}, "parameters": 1, "provenance": {}}
    return store.start_run(spec, dataset, **(fields | changes))


_CHECKPOINT = text(
    "SELECT id, epoch, sha256, (SELECT count(*) FROM evaluations WHERE checkpoint_id = c.id)"
    " + (SELECT count(*) FROM examinations WHERE checkpoint_id = c.id) AS results"
    " FROM checkpoints c WHERE run_id = :run AND name = :name"
)


def add_checkpoint(
    store: Store, run: RunRecord, name: str = "last", epoch: int = 2, sha256: str | None = None
) -> CheckpointRecord:
    """Keep a checkpoint; without a hash it gets one that no other checkpoint has."""
    store.add_checkpoint(run.id, name, epoch, sha256 or digest([run.id, name]))
    with store._reading() as session:  # the whole run would take as long as all the rest
        row = session.execute(_CHECKPOINT, {"run": run.id, "name": name}).one()
    return store.checkpoint(row.id) if row.results else CheckpointRecord(row.id, name, row.epoch, row.sha256, ())


def add_evaluation(
    store: Store,
    checkpoint: CheckpointRecord,
    attack: str,
    settings: dict[str, Any],
    verdicts: Iterable[int],
    *,
    seed: int = 0,
    examples: int | None = None,
    block: int | None = None,
    sample: str = "first",
    warnings: tuple[str, ...] = (),
    duration_s: float = 1.0,
    attempt: int = 1,
    margins: Sequence[float] | None = None,
    predicted: Sequence[int] | None = None,
) -> int:
    """Keep an evaluation, in blocks of a size or in one; of more examples than verdicts it is not complete."""
    whole = bytes(verdicts)
    total = examples or len(whole)
    number = store.open_evaluation(checkpoint.id, attack, settings, seed, total, sample=sample, attempt=attempt)
    size = block or len(whole)
    for first in range(0, len(whole), size):
        part = slice(first, first + size)
        kept = None if margins is None else tuple(margins[part])
        classes = None if predicted is None else tuple(predicted[part])
        store.add_block(BlockDone(number, first, whole[part], duration_s, warnings, kept, predicted=classes))
    return number


def right(count: int, examples: int) -> list[int]:
    """Verdicts of which the first are right."""
    return [1] * count + [0] * (examples - count)


def as_digits(text: str) -> list[int]:
    """Verdicts that are written as digits: 1 is right."""
    return [int(digit) for digit in text]
