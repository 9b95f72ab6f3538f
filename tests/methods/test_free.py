"""Free against Algorithm 1 of its paper, written out; and the updates on one batch, which stop and go on anywhere."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import PluginFault, TrainingFailed
from harness.events import EpochDone
from harness.methods.free import Free
from harness.methods.sat import SAT
from harness.methods.standard import Standard
from harness.networks.smallcnn import SmallCNN
from harness.plugin.adversary import ascend
from harness.plugin.dataset import Augmentation
from harness.plugin.method import Method, Step
from harness.plugin.wrapper import Wrapper
from harness.runtime.stopping import take_back_stop
from harness.training.batches import epoch_batches
from harness.training.loop import Trainer
from harness.wrappers.awp import AWP
from harness.wrappers.ema import EMA
from harness.wrappers.label_smoothing import LabelSmoothing
from tests.harness.training.given import dataset, spec
from tests.harness.training.interrupted import Left, die, fitted, stop
from tests.tiny import make_batch, make_step, make_tiny_model

EPOCHS = 2
AUGMENTED = Augmentation(crop_padding=1, flip=True)


@pytest.fixture(autouse=True)
def nobody_asks() -> Iterator[None]:
    yield
    take_back_stop()


def trainer(folder: Path, method: Method, *, images: int = 50, wrappers: Sequence[Wrapper] = (), **how: Any) -> Trainer:
    folder.mkdir(exist_ok=True)
    cls: type[Trainer] = how.pop("cls", Trainer)
    data = dataset(images, augmentation=AUGMENTED)
    return cls(spec(data, EPOCHS), 1, method, SmallCNN(width=2), data, folder, wrappers, ascend, **how)


@pytest.mark.parametrize("images", [40, 49])  # a last batch of 8, and one of 17 where the others have 16
def test_a_training_is_algorithm_1(images: int, tmp_path: Path) -> None:
    ours = trainer(tmp_path, Free(replays=3, alpha=0.6), images=images)
    model = copy.deepcopy(ours.model).train()
    epsilon, protocol = ours.threat.epsilon, ours.protocol
    momentum, decay = protocol.momentum, protocol.weight_decay
    optimizer = torch.optim.SGD(model.parameters(), lr=protocol.lr, momentum=momentum, weight_decay=decay)
    delta, losses = torch.zeros(17, 1, 8, 8), list[list[float]]()
    for epoch in range(1, EPOCHS + 1):
        losses.append([])
        drops = sum(epoch > round(share * EPOCHS) for share in protocol.lr_drops)
        optimizer.param_groups[0]["lr"] = protocol.lr * protocol.lr_factor**drops
        for x, y in epoch_batches(ours.dataset, 16, ours.spec.train_seed, epoch):
            for _ in range(3):
                noise = delta[: len(x)].clone().requires_grad_()
                loss = F.cross_entropy(model((x + noise).clamp(0, 1)), y)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                assert noise.grad is not None
                delta[: len(x)] = (delta[: len(x)] + 0.6 * epsilon * noise.grad.sign()).clamp(-epsilon, epsilon)
                optimizer.step()
                losses[-1].append(float(loss.detach()))
    events: list[Any] = []
    ours.fit(events.append)
    found = [event.record.loss for event in events if isinstance(event, EpochDone)]
    assert found == pytest.approx([sum(each) / len(each) for each in losses], rel=1e-5)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(ours.model.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)
    kept = ours.method.memory["delta"]
    torch.testing.assert_close(kept, delta[: len(kept)], rtol=0, atol=1e-6)
    assert float(kept.abs().max()) == pytest.approx(epsilon)


def test_with_smoothed_labels_the_perturbation_ascends_the_smoothed_loss() -> None:
    """The gradient of the logits by hand: p - target, with the target 0.3/5 of each class and 0.7 more of the label."""
    method, model, (x, y) = Free(alpha=0.6), make_tiny_model(), make_batch()
    x = 0.25 + x / 2  # so far inside that [0, 1] never clips
    own = copy.deepcopy(model).train()
    step = LabelSmoothing(amount=0.3).adapt(make_step(model, x, y))
    method.loss(step).backward()  # type: ignore[no-untyped-call]
    moved = []
    for amount in (0.3, 0.0):
        images = x.clone().requires_grad_()
        logits = own(images)
        target = amount / 5 + (1 - amount) * F.one_hot(y, 5)
        (gradient,) = torch.autograd.grad(logits, images, logits.detach().softmax(1) - target)
        moved.append(0.6 * step.threat.epsilon * gradient.sign())
    torch.testing.assert_close(method.memory["delta"], moved[0], rtol=0, atol=1e-6)
    assert not torch.equal(moved[0], moved[1])


def test_with_one_update_and_no_move_it_is_natural_training(tmp_path: Path) -> None:
    one = fitted(trainer(tmp_path / "free", Free(replays=1, alpha=0.0)))
    other = fitted(trainer(tmp_path / "standard", Standard()))
    losses, expected = ({e: r.loss for e, r in fit.records.items()} for fit in (one, other))
    # the gradient by the images may change the routine of a layer, and with it a last bit of the others
    assert losses == pytest.approx(expected, rel=1e-5)
    assert len(losses) > 1


class Stopping:
    """What ``die`` and ``stop`` of a case need."""

    def __init__(self, wrappers: bool) -> None:
        self.wrappers = wrappers

    def trainer(self, folder: Path, cls: type[Trainer] = Trainer, **how: Any) -> Trainer:
        wrappers: list[Wrapper] = [AWP(), EMA()] if self.wrappers else []
        return trainer(folder, Free(replays=3), wrappers=wrappers, cls=cls, **how)


@pytest.mark.parametrize("wrappers", [False, True])
def test_it_stops_after_any_update_and_goes_on_to_the_last_bit(wrappers: bool, tmp_path: Path) -> None:
    case: Any = Stopping(wrappers)
    whole: Left = fitted(case.trainer(tmp_path / "whole"))
    a_batch, an_epoch = 3, 4 * 3
    places = []
    for at in (1, 1, 2, 5, 3):  # each counts from the stop before: between two of a batch, and after the last of one
        places.append(str(stop(case, tmp_path / "run", at=at)))
    for told, update in zip(places, (1, 2, 4, 9, 12), strict=True):
        assert f"in epoch 1 of {EPOCHS}, after update {update} of {an_epoch}; " in told
    die(case, tmp_path / "run", at=a_batch + 2, state_every_s=0)
    assert fitted(case.trainer(tmp_path / "run")).differences(whole) == []


def test_a_wrapper_that_takes_the_loss_twice_moves_the_perturbation_once(tmp_path: Path) -> None:
    """With AWP of length 0 both passes are at the weights themselves, so it must change nothing at all."""
    plain, wrapped = (
        trainer(tmp_path / str(len(how)), Free(replays=2), wrappers=how) for how in ([], [AWP(gamma=0.0)])
    )
    for each in (plain, wrapped):
        each.fit(lambda _event: None)
    assert torch.equal(plain.method.memory["delta"], wrapped.method.memory["delta"])


class Twice(SAT):
    """Two updates a batch; keeps what each step says of itself."""

    updates_a_batch = 2
    seen: ClassVar[list[tuple[int, float, Tensor]]] = []

    def loss(self, step: Step) -> Tensor:
        self.seen.append((step.turn, step.progress, step.x))
        bad = len(self.seen) == 6
        return super().loss(step) * (float("nan") if bad else 1.0)


def test_each_update_has_its_turn_its_progress_and_its_batch(tmp_path: Path) -> None:
    Twice.seen = []
    with pytest.raises(TrainingFailed, match="the loss is not finite at epoch 1, batch 3"):
        trainer(tmp_path, Twice()).fit(lambda _event: None)
    turns, progress, images = zip(*Twice.seen, strict=True)
    assert turns == (0, 1) * 4
    assert progress == pytest.approx([update / (8 * EPOCHS) for update in range(8)])
    assert [torch.equal(images[i], images[i + 1]) for i in range(7)] == [True, False] * 3 + [True]


@pytest.mark.parametrize("number", [0, -1, 1.0, True, "2"])
def test_a_number_of_updates_that_is_none_is_refused(number: object, tmp_path: Path) -> None:
    wrong = type("Wrong", (SAT,), {"updates_a_batch": number, "__module__": __name__})
    with pytest.raises(PluginFault, match=r"its updates_a_batch is .*; give a whole number of 1 or more"):
        trainer(tmp_path, wrong()).fit(lambda _event: None)


def test_a_step_tells_the_gradient_by_given_values() -> None:
    model = nn.Linear(2, 2)
    step = Step(torch.rand(3, 2), torch.zeros(3, dtype=torch.int64), model, *([None] * 4))  # type: ignore[arg-type]
    told: list[Tensor] = []
    values = torch.rand(3, 2)
    leaf = step.with_gradient(values, told.append)
    F.cross_entropy(model(leaf), step.y).backward()  # type: ignore[no-untyped-call]
    other = values.clone().requires_grad_()
    (expected,) = torch.autograd.grad(F.cross_entropy(model(other), step.y), other)
    assert len(told) == 1
    assert torch.equal(told[0], expected)
    assert not told[0].requires_grad
    assert not values.requires_grad
