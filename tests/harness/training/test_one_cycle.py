"""The one-cycle schedule: by hand, at every update, over a stop, and in no identity that was stored before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.errors import SettingError
from harness.events import EpochDone, Event
from harness.methods.standard import Standard
from harness.networks.smallcnn import SmallCNN
from harness.plugin.method import Step
from harness.protocols.protocol import Protocol, load_protocol
from harness.training.loop import Trainer
from harness.training.schedule import learning_rate
from tests.harness.training.given import checkpoints, dataset
from tests.stores import make_spec

DIGITS = load_protocol("digits")
ONE_CYCLE = {"train.schedule": "one-cycle", "train.lr_drops": (), "train.lr": 0.4}


def one_cycle(epochs: int) -> Protocol:
    return DIGITS.with_values({**ONE_CYCLE, "train.epochs": epochs, "train.batch_size": 16, "train.steps": 2})


def test_it_rises_for_two_fifths_and_then_falls_to_nothing() -> None:
    protocol = one_cycle(5).train  # with 4 updates an epoch the 8th of 20 is the highest
    rates = {
        1: learning_rate(protocol, 1, 1 / 4),
        4: learning_rate(protocol, 1),
        7: learning_rate(protocol, 2, 3 / 4),
        8: learning_rate(protocol, 2, 1.0),
        9: learning_rate(protocol, 3, 1 / 4),
        14: learning_rate(protocol, 4, 2 / 4),
        19: learning_rate(protocol, 5, 3 / 4),
        20: learning_rate(protocol, 5),
    }
    by_hand = {1: 0.05, 4: 0.2, 7: 0.35, 8: 0.4, 9: 0.4 * 11 / 12, 14: 0.2, 19: 0.4 / 12, 20: 0.0}
    assert rates == pytest.approx(by_hand)


class Watched(Trainer):
    """Keeps the learning rate of each update, and can stop after an epoch."""

    stop_after = 0

    def _update(self, step: Step) -> torch.Tensor:
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        return super()._update(step)

    def start(self) -> list[Event]:
        self.rates: list[float] = []
        events: list[Event] = []

        def hear(event: Event) -> None:
            events.append(event)
            if isinstance(event, EpochDone) and event.record.epoch == self.stop_after and len(self.rates) > 4:
                raise KeyboardInterrupt

        self.fit(hear)
        return events


def watched(directory: Path, protocol: Protocol) -> Watched:
    directory.mkdir(exist_ok=True)
    data = dataset()  # 50 images: 4 updates an epoch
    spec = make_spec(data, network_settings={"width": 4}, training=protocol.training_document)
    return Watched(spec, 1, Standard(), SmallCNN(width=4), data, directory)


def test_every_update_has_its_rate_and_a_stop_changes_nothing(tmp_path: Path) -> None:
    whole = watched(tmp_path / "whole", one_cycle(5))
    events = whole.start()
    assert whole.rates == pytest.approx([0.05 * n for n in range(1, 9)] + [0.4 * n / 12 for n in range(11, -1, -1)])
    records = [event.record for event in events if isinstance(event, EpochDone)]
    assert [record.lr for record in records] == pytest.approx([0.2, 0.4, 0.4 * 8 / 12, 0.4 * 4 / 12, 0.0])
    parts = watched(tmp_path / "parts", one_cycle(5))
    parts.stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        parts.start()
    rest = watched(tmp_path / "parts", one_cycle(5))
    assert checkpoints(rest.start()) == checkpoints(events)
    assert rest.rates == whole.rates[8:]


def test_steps_is_what_was_before_and_enters_no_hash() -> None:
    named = DIGITS.with_values({"train.schedule": "steps"})
    assert named.fingerprint == DIGITS.fingerprint
    assert "schedule" not in DIGITS.training_document
    changed = DIGITS.with_values(ONE_CYCLE)
    assert changed.training_document["schedule"] == "one-cycle"
    assert changed.fingerprint != DIGITS.with_values({**ONE_CYCLE, "train.schedule": "steps"}).fingerprint


def test_drops_beside_it_are_refused_and_so_is_another_schedule() -> None:
    with pytest.raises(SettingError, match=r"one-cycle is refused together with lr_drops.*--set train\.lr_drops="):
        one_cycle(5).with_values({"train.lr_drops": "0.5"})
    with pytest.raises(SettingError, match="together with lr_drops"):
        DIGITS.with_values({"train.schedule": "one-cycle"})
    with pytest.raises(SettingError, match="schedule=cosine is refused"):
        DIGITS.with_values({"train.schedule": "cosine"})
