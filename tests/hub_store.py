"""A store with one run and its weights, as much as a model card tells of it."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harness.events import EpochRecord, Finding
from harness.identity import digest
from harness.networks.smallcnn import SmallCNN
from harness.plugin.network import Shape
from harness.protocols.run_spec import RunSpec
from harness.runtime.seeds import global_seed
from harness.store.records import DatasetRecord
from harness.store.store import Store
from harness.training.checkpoints import save_weights
from tests.stores import add_evaluation, make_spec, right, see_protocol, start

EXAMPLES = 40
DATASET = DatasetRecord("cifar10", "c" * 64, 50_000, EXAMPLES, 3, 8, 8, 10, tuple("abcdefghij"))
TRAINING = {"epsilon": 0.2, "epochs": 2}
PGD = {"epsilon": 0.2, "steps": 20, "block_size": 100}
WIDER = PGD | {"epsilon": 0.4}
ATTACKS: dict[str, dict[str, Any]] = {"natural": {}, "pgd": PGD}
PROVENANCE = {
    "device": "cpu",
    "host": "a-private-host",
    "torch": "2.15.0",
    "sources": {"method": {"/home/me/x.py": "0"}},
}
SCOPE = {"epsilon": 0.2, "examples": EXAMPLES}


class OneRun:
    """Run 1, whose checkpoint ``last`` was attacked under a protocol, and at another radius under none."""

    def __init__(
        self, folder: Path, dataset: DatasetRecord = DATASET, *, into: Store | None = None, **changes: Any
    ) -> None:
        """Make the run, in a store of its own with its weights, or in another store without weights."""
        fields: dict[str, Any] = {"method": "trades", "method_settings": {"beta": 6.0}}
        fields |= {"network_settings": {"width": 2}, "training": TRAINING, "train_seed": 3}
        self.spec: RunSpec = make_spec(dataset, **(fields | changes))
        self.folder = folder
        self.store = into or Store.write(str(folder / "leaderboard.db"))
        fingerprint = "a1b2c3d4" * 8 if into is None else digest(self.spec.training)
        see_protocol(self.store, ATTACKS, self.spec.training, fingerprint=fingerprint, name="paper")
        departures = {"network_departures": {"width": 2}}
        self.run = start(self.store, self.spec, dataset, provenance=PROVENANCE, **departures)
        self.store.add_epoch(self.run.id, EpochRecord(1, 1.0, 0.1, 100, 12.5, {}))
        with global_seed(torch.device("cpu"), 0):
            self.model: nn.Module = SmallCNN(width=2).build(Shape(dataset.channels, 8, 8, 10)).eval()
        self.weights = folder / "runs" / self.run.folder
        sha256 = self.spec.identity
        if into is None:
            self.weights.mkdir(parents=True)
            sha256 = save_weights(self.weights, "last", dict(self.model.state_dict()), self.spec, 2)
        self.store.add_checkpoint(self.run.id, "last", 2, sha256)
        self.checkpoint_id = self.record.id

    @property
    def record(self) -> Any:
        return self.store.run(self.run.id).checkpoint("last")

    def moved(self, folder: Path) -> OneRun:
        """The same in a copy of its folder."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        other = copy.copy(self)
        other.folder, other.store = folder, Store.write(str(folder / "leaderboard.db"))
        other.weights = folder / self.weights.relative_to(self.folder)
        return other

    def measure(self, *, warnings: tuple[str, ...] = ()) -> None:
        """34 of 40 right; under PGD 21, 19, and 20, each time the first; at twice the radius 10; one seed stopped."""
        record = self.record
        add_evaluation(self.store, record, "natural", {}, right(34, EXAMPLES))
        for seed, count in enumerate((21, 19, 20)):
            add_evaluation(self.store, record, "pgd", PGD, right(count, EXAMPLES), seed=seed, warnings=warnings)
        add_evaluation(self.store, record, "pgd", WIDER, right(10, EXAMPLES))
        add_evaluation(self.store, record, "pgd", WIDER, right(3, 30), seed=1, examples=EXAMPLES)

    def examine(self, *findings: Finding, kind: str = "model", edition: int = 1) -> None:
        more = {"threat": {}, "block_size": 100} if kind == "model" else {"attacks": {}}
        settings = {"kind": kind, **SCOPE, **more, "edition": edition}
        self.store.add_examination(self.checkpoint_id, settings, findings, 1.0, {})

    def end(self) -> None:
        self.store.end_run(self.run.id)


def passed(check: str = "zero-gradient", reason: str = "no gradient vanishes") -> Finding:
    return Finding(check, "passed", "", 0.0, 0.01, reason, {})


def flagged(check: str = "square-stronger", mark: str = "S", reason: str = "Square breaks more") -> Finding:
    return Finding(check, "flagged", mark, 0.4, 0.15, reason, {})
