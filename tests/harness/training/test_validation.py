"""Images that are held out: which, what a network reaches on them by a closed form, and that they choose ``best``."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from harness.errors import PluginFault, SettingError
from harness.events import VALIDATION_NATURAL, VALIDATION_ROBUST, EpochDone, EpochRecord, Event
from harness.methods.sat import SAT
from harness.networks.smallcnn import SmallCNN
from harness.plugin.dataset import Dataset
from harness.plugin.method import Step
from harness.plugin.threat import Threat
from harness.protocols.protocol import load_protocol
from harness.training.checkpoints import TrainingState
from harness.training.loop import Trainer
from harness.training.state_file import STATE_FILE, read_state
from harness.training.validation import BestEpoch, accuracies, hold_out, refuse_few_left
from tests.harness.training.given import checkpoints, dataset, spec
from tests.tiny import draws

HELD = 12


def patterned(n: int = 60) -> Dataset:
    """Four classes, each with another quarter of the image brighter."""
    data = dataset(n)
    images = data.train.images // 2
    for label in range(4):
        top, left = divmod(label, 2)
        images[data.train.labels == label, :, 4 * top : 4 * top + 4, 4 * left : 4 * left + 4] += 100
    return replace(data, train=replace(data.train, images=images))


def rows(images: Tensor) -> list[bytes]:
    return [bytes(image.flatten().tolist()) for image in images]


class TestHoldOut:
    def test_it_is_balanced_and_leaves_the_rest_in_order(self) -> None:
        data = dataset(60)
        rest, held = hold_out(data, HELD)
        assert sorted(Counter(held.labels.tolist()).values()) == [3, 3, 3, 3]  # four classes
        chosen = set(rows(held.images))
        assert rows(rest.train.images) == [image for image in rows(data.train.images) if image not in chosen]
        assert len(rest.train) == len(rest.train.labels) == 60 - HELD
        assert set(rows(hold_out(data, 5)[1].images)) < chosen
        assert hold_out(data, 0)[0] is data

    def test_a_class_without_an_image_left_is_refused(self) -> None:
        data = dataset(60)
        fewest = min(Counter(data.train.labels.tolist()).values())
        refuse_few_left(4 * (fewest - 1), data)
        with pytest.raises(
            SettingError, match=r"^train.validation=60 is refused: no training image of class [a-d] would"
        ):
            refuse_few_left(60, data)


def test_a_linear_network_is_robust_where_its_margin_is_wide_enough() -> None:
    """The logits are +-w.x, so an image is robust if and only if y w.(x - 1/2) > epsilon |w|_1 (away from 0 and 1)."""
    weight = torch.randn(36, generator=draws(1))
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    linear = model[1]
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        linear.weight.copy_(torch.stack([weight, -weight]))
        linear.bias.copy_(torch.stack([-weight.sum() / 2, weight.sum() / 2]))
    x = 0.5 + 0.1 * (torch.rand(40, 1, 6, 6, generator=draws(2)) - 0.5)
    y = torch.randint(2, (40,), generator=draws(3))
    margin = ((x - 0.5).flatten(1) @ weight) * (1 - 2 * y)
    epsilon = 0.01
    threat = load_protocol("digits").train.validation_threat(epsilon)
    assert (threat.steps, threat.start) == (10, "uniform")
    assert threat.step_size == pytest.approx(0.0025)
    assert load_protocol("rice2020-l2").train.validation_threat(0.5).norm == "L2"
    found = accuracies(model, x, y, threat, batch_size=16)
    natural, robust = int((margin > 0).sum()), int((margin > epsilon * weight.abs().sum()).sum())
    assert 0 < robust < natural < 40
    assert (found.images, found.natural, found.robust) == (40, natural, robust)
    assert found.diagnostics() == {VALIDATION_NATURAL: natural / 0.4, VALIDATION_ROBUST: robust / 0.4}


def test_of_equal_epochs_the_earliest_is_best_and_a_better_one_takes_its_place() -> None:
    x, y = torch.rand(4, 1, 8, 8, generator=draws()), torch.tensor([0, 0, 0, 1])
    always = {0: nn.Linear(64, 2), 1: nn.Linear(64, 2)}
    for label, layer in always.items():
        nn.init.zeros_(layer.weight)
        with torch.no_grad():
            layer.bias.copy_(torch.eye(2)[label])
    chooser, state = BestEpoch(x, y, Threat(epsilon=0.1, steps=1, step_size=0.1, start="none"), 2), TrainingState("id")
    for epoch, label in enumerate([1, 0, 0, 1], start=1):
        model = nn.Sequential(nn.Flatten(), always[label])
        record = chooser.measured(EpochRecord(epoch, 1.0, 0.1, 4, 1.0), state, model.state_dict(), model)
        assert record.diagnostics[VALIDATION_ROBUST] == (75.0 if label == 0 else 25.0)
    assert state.best is not None
    assert (state.best["epoch"], state.best["robust_percent"]) == (2, 75.0)


@dataclass(frozen=True, kw_only=True)
class Watching(SAT):
    """Counts how often it saw each image."""

    name = "watching"

    def prepare(self, model: nn.Module) -> None:
        self.memory["seen"] = Counter[bytes]()

    def loss(self, step: Step) -> Tensor:
        self.memory["seen"] += Counter(rows((step.x * 255).round()[:, :, :2].to(torch.uint8)))
        return super().loss(step)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def trainer(folder: Path, data: Dataset, method: SAT, epochs: int = 5, **training: Any) -> Trainer:
    folder.mkdir(exist_ok=True)
    own = spec(data, epochs)
    own = replace(own, training=own.training | {"validation": HELD, "lr": 0.8} | training)
    return Trainer(own, 1, method, SmallCNN(width=4), data, folder)


def test_best_is_the_epoch_that_the_held_out_images_choose_and_the_training_never_sees_them(tmp_path: Path) -> None:
    data, states, events, watching = patterned(), {}, list[Event](), Watching()
    made = trainer(tmp_path / "run", data, watching)

    def hear(event: Event) -> None:
        events.append(event)
        if isinstance(event, EpochDone):
            content = io.BytesIO(read_state(tmp_path / "run" / STATE_FILE))
            states[event.record.epoch] = torch.load(content, weights_only=True)["model"]

    made.fit(hear)
    rest, held = hold_out(data, HELD)
    assert watching.memory["seen"] == Counter(dict.fromkeys(rows(rest.train.images[:, :, :2]), 5))
    x, y = data.pixels(held.images), held.labels
    records = {event.record.epoch: event.record for event in events if isinstance(event, EpochDone)}
    threat, robust = made.protocol.validation_threat(made.threat.epsilon), {}
    for epoch, weights in states.items():
        model = SmallCNN(width=4).build(data.shape)
        model.load_state_dict(weights)
        right = (model.eval()(x).argmax(1) == y).double().mean()
        assert records[epoch].diagnostics[VALIDATION_NATURAL] == pytest.approx(100 * float(right))
        robust[epoch] = accuracies(model, x, y, threat, 16).robust
        assert records[epoch].diagnostics[VALIDATION_ROBUST] == pytest.approx(100 * robust[epoch] / HELD)
        assert records[epoch].images == 60 - HELD
    best = min(epoch for epoch, count in robust.items() if count == max(robust.values()))
    assert 1 < best < len(states)  # neither the first nor the last, so that both could be wrong
    told = checkpoints(events)
    assert [name for name, _ in sorted(told.items())] == ["best", "early", "last"]
    assert told["best"][0] == best
    assert torch.load(io.BytesIO(read_state(tmp_path / "run" / STATE_FILE)), weights_only=True)["best"]["epoch"] == best
    kept = load_file(tmp_path / "run" / "best.safetensors")
    assert all(torch.equal(kept[name], states[best][name]) for name in kept)


def test_a_method_may_not_log_what_the_engine_measures(tmp_path: Path) -> None:
    class Logging(SAT):
        name = "logging"

        def loss(self, step: Step) -> Tensor:
            step.log(VALIDATION_ROBUST, torch.ones(()))
            return super().loss(step)

    with pytest.raises(PluginFault, match="it logs validation_robust_percent, which is what the images held out give"):
        trainer(tmp_path / "run", dataset(60), Logging()).fit(lambda _event: None)


def test_what_has_no_effect_or_cannot_be_chosen_is_refused() -> None:
    protocol = load_protocol("digits")
    with pytest.raises(SettingError, match="validation_steps is refused without validation"):
        protocol.with_values({"train.validation_steps": 20})
    with pytest.raises(SettingError, match=r"evaluation.checkpoints=best is refused: no image is held out"):
        protocol.with_values({"evaluation.checkpoints": "best,last"})
    chosen = protocol.with_values({"evaluation.checkpoints": "best,last", "train.validation": 100})
    assert chosen.fingerprint != protocol.fingerprint
    assert "validation" not in protocol.training_document
