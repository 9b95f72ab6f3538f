"""A store with one run, whose evaluations a test adds, for the tests of ``harness export robustbench``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from harness.networks.smallcnn import SmallCNN
from harness.plugin.network import Shape
from harness.runtime.seeds import global_seed
from harness.store.records import DatasetRecord
from harness.store.store import Store
from harness.training.checkpoints import save_weights
from tests.stores import add_evaluation, make_spec, right, see_protocol, start

EXAMPLES = 40
CIFAR = DatasetRecord("cifar10", "c" * 64, 50_000, EXAMPLES, 3, 8, 8, 10)  # of a size that smallcnn takes
TRAINING = {"epsilon": 8 / 255, "epochs": 2}
AUTOATTACK = {"epsilon": 8 / 255}


class Results:
    """A store with one run, to which evaluations of its checkpoint ``last`` are added."""

    def __init__(self, folder: Path, dataset: DatasetRecord = CIFAR, **changes: Any) -> None:
        fields: dict[str, Any] = {
            "method": "trades",
            "method_settings": {"beta": 6.0},
            "network_settings": {"width": 2},
        }
        self.spec = spec = make_spec(dataset, **(fields | {"training": TRAINING, "train_seed": 3} | changes))
        self.store = Store.write(str(folder / "leaderboard.db"))
        attacks = {"natural": {}, "autoattack": AUTOATTACK}
        see_protocol(self.store, attacks, TRAINING, fingerprint="a1b2c3d4" * 8, name="paper", document={})
        self.run = start(self.store, spec, dataset, network_departures={"width": 2})
        with global_seed(torch.device("cpu"), 0):
            self.model = SmallCNN(width=2).build(Shape(*(dataset.channels, 8, 8, 10))).eval()
        directory = folder / "runs" / self.run.folder
        directory.mkdir(parents=True)
        sha256 = save_weights(directory, "last", dict(self.model.state_dict()), spec, 2)
        self.store.add_checkpoint(self.run.id, "last", 2, sha256)

    def add(
        self, attack: str, correct: Sequence[int], settings: dict[str, Any], examples: int = EXAMPLES, done: bool = True
    ) -> None:
        """One evaluation a seed, with so many right."""
        checkpoint = self.store.run(self.run.id).checkpoint("last")
        assert checkpoint is not None
        for seed, count in enumerate(correct):
            verdicts = right(count, examples if done else examples - 1)
            add_evaluation(self.store, checkpoint, attack, settings, verdicts, seed=seed, examples=examples)

    def natural(self, correct: int = 34, **changes: Any) -> None:
        self.add("natural", [correct], {}, **changes)

    def attacked(self, *correct: int, epsilon: float = 8 / 255, **changes: Any) -> None:
        self.add("autoattack", correct, {"epsilon": epsilon}, **changes)
