"""How far a training is, is told however short its epochs are, and with what measuring takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.events import Event, TrainingProgress
from harness.methods.standard import Standard
from harness.networks.smallcnn import SmallCNN
from harness.training import pace
from harness.training.epoch_so_far import EpochSoFar
from harness.training.loop import Trainer
from tests.harness.training.given import dataset, spec


class Clock:
    """Stands in for the module ``time``; ``now`` is what a test makes it."""

    def __init__(self, each: float = 0.0) -> None:
        self.now, self.each = 0.0, each

    def perf_counter(self) -> float:
        self.now += self.each
        return self.now


def test_epochs_that_are_shorter_than_the_interval_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "time", Clock(each=0.1))
    # one update an epoch, so one look at the clock, and two beside it: looks at 0.2, 0.5, 0.8 (0.7 since the first) ...
    data, events = dataset(16), list[Event]()
    Trainer(spec(data, epochs=9), 1, Standard(), SmallCNN(width=4), data, tmp_path).fit(events.append)
    assert [event.epoch for event in events if isinstance(event, TrainingProgress)] == [3, 5, 7, 9]


def test_the_time_left_has_what_an_epoch_takes_beside_its_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    made, so_far = pace.Pace(1, "sat", epochs=10), EpochSoFar(torch.device("cpu"), 0, 7)
    so_far.means.add_loss(torch.tensor(2.0))
    monkeypatch.setattr(EpochSoFar, "duration_s", 4.0)
    for took in (6.0, 0.0):  # measured after every other epoch
        with made.beside():
            clock.now += took
    told: dict[str, Any] = vars(made.progress(so_far, images=100, batch=2, batches=10, done=20))
    assert told["images_per_s"] == 5
    assert told["left_s"] == (80 + 3 * 100) / 5 + 4 * 3.0
    assert (told["epoch"], told["epochs"], told["batch"], told["batches"], told["loss"]) == (7, 10, 2, 10, 2.0)
