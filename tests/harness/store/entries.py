"""What the store's tests put in: a run, an evaluation, a model from elsewhere, findings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from harness.events import Finding
from harness.protocols.run_spec import RunSpec
from harness.store.records import DatasetRecord, ModelRecord, RunRecord
from harness.store.store import Store

DIGITS = DatasetRecord("digits", "f" * 64, 1437, 360, 1, 8, 8, 10)
CARRIED = 104 + 2 * 21 * 6  # cells of Gao et al.; of Pan and Yao data sets, methods, and metrics


def make_spec(**changes: Any) -> RunSpec:
    spec = RunSpec(
        method="sat",
        method_settings={"strength": 1.5},
        network="smallcnn",
        network_settings={"width": 4},
        dataset=DIGITS.name,
        dataset_fingerprint=DIGITS.fingerprint,
        training={"epsilon": 0.1, "epochs": 2},
        train_seed=3,
    )
    return dataclasses.replace(spec, **changes)


def start(store: Store, spec: RunSpec | None = None, attempt: int = 1) -> RunRecord:
    return store.start_run(
        spec or make_spec(),
        DIGITS,
        method_departures={"strength": 1.5},
        network_departures={"width": 4},
        parameters=1234,
        provenance={"device": "cpu", "threads": 1},
        attempt=attempt,
    )


def start_evaluation(store: Store, run: RunRecord, **changes: Any) -> int:
    """The number of an evaluation of the run's last checkpoint."""
    store.add_checkpoint(run.id, "last", 2, "c" * 64)
    checkpoint = store.run(run.id).checkpoint("last")
    assert checkpoint is not None
    key: dict[str, Any] = {"checkpoint_id": checkpoint.id, "attack": "pgd", "settings": {"steps": 20}, "seed": 0}
    return store.open_evaluation(**(key | {"examples": 10} | changes), provenance={"device": "cpu"})


def see_model(store: Store, name: str = "theirs", **changes: Any) -> ModelRecord:
    """A model from elsewhere, evaluated on nothing yet."""
    facts: dict[str, Any] = {"network": "resnet", "network_settings": {"depth": 2}, "parameters": 99}
    facts |= {"network_departures": {"depth": 2}}
    facts |= {"sha256": "d" * 64, "provenance": {"file": "theirs.pt"}}
    return store.see_model(name, DIGITS, **(facts | changes))


FINDINGS = (
    Finding("logits", "passed", "", None, None, "the outputs are logits", {}),
    Finding("zero-gradient", "flagged", "g", 0.5, 0.01, "half the gradients are zero", {"ce": 0.5}),
)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and modification time of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
