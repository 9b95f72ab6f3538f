"""What the store's tests put in: a run, an evaluation, a model from elsewhere, findings."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select

from harness.events import BlockDone, CurvePoint, EpochRecord, Finding, Histogram, Part
from harness.identity import digest
from harness.protocols.protocol import load_protocol
from harness.protocols.run_spec import RunSpec
from harness.store import database
from harness.store.records import ModelRecord, ProtocolRecord, RunRecord
from harness.store.schema import METADATA
from harness.store.store import Store
from tests import stores
from tests.stores import DIGITS

CARRIED = 104 + 2 * 21 * 6  # cells of Gao et al.; of Pan and Yao data sets, methods, and metrics


def make_spec(**changes: Any) -> RunSpec:
    fields: dict[str, Any] = {"method_settings": {"strength": 1.5}, "network_settings": {"width": 4}}
    return stores.make_spec(**(fields | {"training": {"epsilon": 0.1, "epochs": 2}, "train_seed": 3} | changes))


def start(store: Store, spec: RunSpec | None = None, attempt: int = 1) -> RunRecord:
    facts: dict[str, Any] = {"parameters": 1234, "provenance": {"device": "cpu", "threads": 1}}
    departures: dict[str, Any] = {"method_departures": {"strength": 1.5}, "network_departures": {"width": 4}}
    return stores.start(store, spec or make_spec(), attempt=attempt, **facts, **departures)


def start_evaluation(store: Store, run: RunRecord, **changes: Any) -> int:
    """The number of an evaluation of the run's last checkpoint."""
    checkpoint = stores.add_checkpoint(store, run, sha256="c" * 64)
    key: dict[str, Any] = {"checkpoint_id": checkpoint.id, "attack": "pgd", "settings": {"steps": 20}, "seed": 0}
    return store.open_evaluation(**(key | {"examples": 10} | changes))


def see_model(store: Store, name: str = "theirs", **changes: Any) -> ModelRecord:
    """A model from elsewhere, evaluated on nothing yet."""
    facts: dict[str, Any] = {"network": "resnet", "network_settings": {"depth": 2}, "parameters": 99}
    facts |= {"network_departures": {"depth": 2}}
    facts |= {"sha256": "d" * 64, "provenance": {"file": "theirs.pt"}}
    return store.see_model(name, DIGITS, **(facts | changes))


def see_pgd_protocol(store: Store) -> None:
    """A protocol as harness stores it, of PGD alone, with the settings of ``start_evaluation``."""
    protocol = load_protocol("digits").with_values({"evaluation.attacks": ("pgd",)})
    training, attacks = protocol.training_document, {"pgd": digest({"steps": 20})}
    record = ProtocolRecord(protocol.fingerprint, "digits", digest(training), attacks, protocol.document())
    store.see_protocol(record, training)


FINDINGS = (
    Finding("logits", "passed", "", None, None, "the outputs are logits", {}),
    Finding("zero-gradient", "flagged", "g", 0.5, 0.01, "half the gradients are zero", {"ce": 0.5}),
)

WEIGHT = Histogram("weight", 0.0, 1.0, (3, 0, 2**40))
FLIPS = Histogram("steps_to_flip", -0.5, 2.5, (1, 2, 3))


def point(
    correct: int, part: Part = "test", attack: str = "pgd", images: int = 128, steps: int = 20, duration_s: float = 0.5
) -> CurvePoint:
    """The accuracy after an epoch; pgd has its steps as settings, every other attack none."""
    settings = {"steps": steps} if attack == "pgd" else {}
    return CurvePoint(part, attack, settings, images, correct, duration_s)


def epoch(number: int, *curve: CurvePoint, histograms: tuple[Histogram, ...] = ()) -> EpochRecord:
    """An epoch with its records."""
    return EpochRecord(number, 2.5, 0.1, 1437, 0.5, {"weight": 1.0}, histograms, curve)


def images(*values: float) -> tuple[bytes, ...]:
    """Images of ``DIGITS``, each of one value, as a block has them."""
    return tuple(struct.pack("<64f", *[value] * 64) for value in values)


def recorded_block(
    evaluation: int, start: int, predicted: Sequence[int], adversarial: Sequence[bytes] = ()
) -> BlockDone:
    """A block with all that an evaluation keeps; class 0 is right."""
    right = bytes(number == 0 for number in predicted)
    kept: dict[str, Any] = {"predicted": tuple(predicted), "adversarial": tuple(adversarial)}
    return BlockDone(evaluation, start, right, 0.5, (), (0.5,) * len(predicted), **kept)


def rows(location: str) -> dict[str, set[str]]:
    """Every row of every table of a database of any kind."""
    engine = database.open_for_reading(database.locate(location))
    try:
        with engine.connect() as connection:
            return {
                name: {repr(tuple(row)) for row in connection.execute(select(table))}
                for name, table in METADATA.tables.items()
            }
    finally:
        engine.dispose()


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and modification time of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
