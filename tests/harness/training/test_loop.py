"""The loop: the schedule by hand, batches against the arrays, resume to the last bit, failures with their place."""

from __future__ import annotations

import copy
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from harness.errors import HarnessError, TrainingFailed
from harness.events import EpochDone, Event
from harness.methods.sat import SAT
from harness.networks.smallcnn import SmallCNN
from harness.plugin.dataset import Augmentation
from harness.plugin.method import Method, Step
from harness.protocols.protocol import load_protocol
from harness.protocols.run_spec import RunSpec
from harness.runtime.precision import precision_code
from harness.training.batches import augment, epoch_batches
from harness.training.checkpoints import load_weights
from harness.training.loop import Trainer
from harness.training.schedule import checkpoint_epochs, learning_rate
from harness.training.state_file import STATE_FILE, read_state
from harness.training.weights_place import weights_file
from tests.harness.training.given import checkpoints, dataset, spec
from tests.tiny import draws


def trainer(
    directory: Path, *, epochs: int = 4, seed: int = 0, method: Method | None = None, precision: str = "float32"
) -> Trainer:
    directory.mkdir(parents=True, exist_ok=True)
    data = dataset(augmentation=Augmentation(crop_padding=1, flip=True))
    return Trainer(spec(data, epochs, seed, precision), 1, method or SAT(), SmallCNN(width=4), data, directory)


def test_the_papers_learning_rate_by_hand() -> None:
    protocol = load_protocol("paper").train
    rates = {epoch: learning_rate(protocol, epoch) for epoch in (1, 60, 61, 90, 91, 100)}
    expected = {1: 0.01, 60: 0.01, 61: 0.001, 90: 0.001, 91: 0.0001, 100: 0.0001}
    assert rates == pytest.approx(expected)
    assert checkpoint_epochs(protocol) == {"early": 60, "last": 100}


def test_an_epoch_is_every_image_once_in_an_order_of_its_own() -> None:
    data = dataset()
    epochs = [list(epoch_batches(data, 16, seed=0, epoch=epoch)) for epoch in (1, 1, 2)]
    images = [torch.cat([x for x, _ in batches]) for batches in epochs]
    labels = [torch.cat([y for _, y in batches]) for batches in epochs]
    assert [len(x) for x, _ in epochs[0]] == [16, 16, 16, 2]
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])
    flat = data.train.images.float().div(255).flatten(1)
    for x, y in zip(images, labels, strict=True):
        index = torch.cdist(x.flatten(1), flat).argmin(1)
        assert sorted(index.tolist()) == list(range(50))
        assert torch.equal(data.train.labels[index], y)


def test_augmentation_only_ever_gives_a_shift_and_a_flip_of_the_image() -> None:
    data = dataset(n=40)
    images = data.train.images
    out = augment(images, Augmentation(crop_padding=2, flip=True), draws(1))
    padded = torch.nn.functional.pad(images, (2,) * 4)
    seen = set()
    for i in range(len(images)):
        views = {
            (top, left, flip): (view.flip(2) if flip else view)
            for top in range(5)
            for left in range(5)
            for flip in (False, True)
            for view in [padded[i, :, top : top + 8, left : left + 8]]
        }
        seen |= {place for place, view in views.items() if torch.equal(view, out[i])}
    assert len(seen) > 25  # of 50 places; every image was found in one
    assert all(any(place[axis] == value for place in seen) for axis in (0, 1) for value in range(5))
    assert {flip for *_, flip in seen} == {True, False}


def test_no_augmentation_is_the_image() -> None:
    images = dataset().train.images
    assert torch.equal(augment(images, Augmentation(), draws()), images)


def test_a_stopped_training_goes_on_to_the_same_last_bit(tmp_path: Path) -> None:
    whole: list[Event] = []
    trainer(tmp_path / "whole").fit(whole.append)

    class Stop(Exception):
        pass

    def stop(event: Event) -> None:
        if isinstance(event, EpochDone) and event.record.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        trainer(tmp_path / "parts").fit(stop)
    torch.manual_seed(123)  # nothing depends on global state
    rest: list[Event] = []
    trainer(tmp_path / "parts").fit(rest.append)
    assert checkpoints(rest) == checkpoints(whole)
    assert checkpoints(whole).keys() == {"early", "last"}
    losses = [[e.record.loss for e in events if isinstance(e, EpochDone)] for events in (whole, rest)]
    assert losses[0] == losses[1]  # the epochs before the stop are told again


def test_an_evaluation_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    plain: list[Event] = []
    trainer(tmp_path / "plain").fit(plain.append)
    disturbed: list[Event] = []

    def evaluate(event: Event) -> None:
        disturbed.append(event)
        if isinstance(event, EpochDone):
            torch.rand(10)
            busy.model.eval()
            busy.model(torch.rand(4, 1, 8, 8))

    busy = trainer(tmp_path / "disturbed")
    busy.fit(evaluate)
    assert checkpoints(disturbed) == checkpoints(plain)


def test_seeds_decide_the_start_and_the_end(tmp_path: Path) -> None:
    results = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        events: list[Event] = []
        trainer(tmp_path / name, epochs=1, seed=seed).fit(events.append)
        results.append(checkpoints(events)["last"][1])
        load_weights(weights_file(tmp_path / name, "last"), results[-1])
    weights = [load_weights(weights_file(tmp_path / n, "last"), s) for n, s in zip("abc", results, strict=True)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert not torch.equal(weights[0]["0.weight"], weights[2]["0.weight"])


def test_weights_carry_their_settings_and_are_checked(tmp_path: Path) -> None:
    events: list[Event] = []
    busy = trainer(tmp_path, epochs=2)
    busy.fit(events.append)
    file = weights_file(tmp_path, "last")
    with safe_open(file, framework="pt") as opened:
        settings = json.loads(opened.metadata()["harness"])
    assert RunSpec(**settings["run"]).identity == busy.spec.identity
    assert settings["checkpoint"] == "last"
    with pytest.raises(HarnessError, match="are not those that the store recorded"):
        load_weights(file, "0" * 64)
    with pytest.raises(HarnessError, match="cannot be read"):
        load_weights(tmp_path / "gone.safetensors", "0" * 64)


def test_the_state_loads_as_weights_only_and_belongs_to_its_run(tmp_path: Path) -> None:
    trainer(tmp_path, epochs=1).fit(lambda event: None)
    torch.load(io.BytesIO(read_state(tmp_path / STATE_FILE)), weights_only=True)
    with pytest.raises(HarnessError, match="belongs to another run"):
        trainer(tmp_path, epochs=1, seed=5).fit(lambda event: None)


@dataclass(frozen=True, kw_only=True)
class Explodes(Method):
    """Its loss is not finite from a given point of the training on."""

    at: float = 0.3

    def loss(self, step: Step) -> Tensor:
        loss: Tensor = step.model(step.x).square().mean()
        step.log("progress", torch.tensor(step.progress))
        return loss * (torch.inf if step.progress >= self.at else 1.0)


@dataclass(frozen=True, kw_only=True)
class Compares(Method):
    """Compares each update's logits with those of a copy of the network, which nothing remembers."""

    same: ClassVar[list[bool]] = []

    def loss(self, step: Step) -> Tensor:
        expected = copy.deepcopy(step.model)(step.x)
        logits = step.model(step.x)
        self.same.append(torch.equal(logits, expected))
        return torch.nn.functional.cross_entropy(logits, step.y)


class Casting(nn.Module):
    """A network that casts its weights by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, cache_enabled=True):
            logits: Tensor = self.layer(x.flatten(1))
        return logits.float()


@pytest.mark.parametrize("casting", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_update_is_taken_at_the_present_weights(
    precision: str, casting: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if casting:
        monkeypatch.setattr(SmallCNN, "build", lambda _self, _shape: Casting())
    Compares.same.clear()
    busy = trainer(tmp_path, method=Compares(), epochs=2, precision=precision)
    busy.fit(lambda event: None)
    assert Compares.same == [True] * 8


def test_runs_in_bfloat16_of_before_are_other_runs() -> None:
    assert precision_code("bfloat16") == {"bfloat16": "of the present weights"}
    assert precision_code("float32") == precision_code("tf32") == {}


def test_a_loss_that_is_not_finite_fails_with_its_epoch_and_batch(tmp_path: Path) -> None:
    # 4 epochs of 4 batches: progress 0.3 is passed at 5/16, the second batch of the second epoch
    with pytest.raises(TrainingFailed, match="the loss is not finite at epoch 2, batch 2") as caught:
        trainer(tmp_path, method=Explodes()).fit(lambda event: None)
    assert (caught.value.epoch, caught.value.batch) == (2, 2)
    assert not weights_file(tmp_path, "last").exists()


def test_diagnostics_are_means_over_batches(tmp_path: Path) -> None:
    events: list[Event] = []
    trainer(tmp_path, epochs=1, method=Explodes(at=2.0)).fit(events.append)
    (record,) = [e.record for e in events if isinstance(e, EpochDone)]
    assert record.diagnostics["progress"] == pytest.approx((0 + 1 / 4 + 2 / 4 + 3 / 4) / 4)
    assert record.images == 50


@dataclass(frozen=True, kw_only=True)
class Remembers(Method):
    """A method with state of its own: the mean of all losses so far, which weighs the next."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_memory", torch.ones(()))

    def loss(self, step: Step) -> Tensor:
        memory: Tensor = self._memory  # type: ignore[attr-defined]
        loss: Tensor = step.model(step.x).square().mean()
        memory.mul_(0.5).add_(0.5 * loss.detach())
        return loss * memory

    def state_dict(self) -> dict[str, Tensor]:
        return {"memory": self._memory}  # type: ignore[attr-defined]

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self._memory.copy_(state["memory"])  # type: ignore[attr-defined]


def test_a_methods_own_state_is_saved_and_restored(tmp_path: Path) -> None:
    whole: list[Event] = []
    trainer(tmp_path / "whole", method=Remembers()).fit(whole.append)

    def stop(event: Event) -> None:
        if isinstance(event, EpochDone) and event.record.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "parts", method=Remembers()).fit(stop)
    rest: list[Event] = []
    trainer(tmp_path / "parts", method=Remembers()).fit(rest.append)
    assert checkpoints(rest)["last"] == checkpoints(whole)["last"]
