"""Wrappers are held to their contract: a broken one is named, before the training and within it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.errors import PluginFault
from harness.methods.standard import Standard
from harness.networks.smallcnn import SmallCNN
from harness.planning.trials import training_passes
from harness.plugin.method import Step
from harness.plugin.wrapper import Backward, Loss, Wrapper
from harness.training.checkpoints import TrainingState
from harness.training.loop import Trainer
from tests.harness.training.given import dataset, spec
from tests.tiny import make_threat

Take = Callable[[Step, Loss, Backward], Any]
Give = Callable[[dict[str, Tensor]], Any]


def plainly(step: Step, loss: Loss, inner: Backward) -> Tensor:
    return inner(step, loss)


@dataclass(frozen=True, kw_only=True)
class Odd(Wrapper):
    """Does something odd, once it has seen some updates."""

    name = "odd"
    takes: Take = field(default=plainly)
    gives: Give = field(default=dict)
    after_updates: int = 0

    def __post_init__(self) -> None:
        """Nothing to check."""

    def prepare(self, model: nn.Module) -> None:
        self.memory["updates"] = 0

    def backward(self, step: Step, loss: Loss, inner: Backward) -> Tensor:
        self.memory["updates"] += 1
        return self.takes(step, loss, inner) if self._begun else inner(step, loss)

    def published(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        return self.gives(weights) if self._begun else weights

    @property
    def _begun(self) -> bool:
        return bool(self.memory["updates"] > self.after_updates)

    def resolved(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    @classmethod
    def from_mapping(cls, values: Any) -> Odd:
        return cls(**values)


TAKES: dict[str, tuple[Take, str]] = {
    "nothing": (lambda step, loss, inner: inner(step, loss) and None, "its backward gives a NoneType"),
    "a number": (lambda step, loss, inner: inner(step, loss).item(), "its backward gives a float"),
    "a vector": (lambda step, loss, inner: inner(step, loss)[None], r"its backward gives a tensor of shape \(1,\)"),
    "no update": (lambda step, loss, inner: loss(step).detach(), "its backward leaves no gradient; call inner"),
    "a graph": (
        lambda step, loss, inner: loss(step),
        r"a tensor of shape \(\) with a gradient; give the loss, detached",
    ),
}
GIVES: dict[str, tuple[Give, str]] = {
    "nothing": (lambda weights: None, "its published gives a NoneType"),
    "a name less": (lambda weights: dict(list(weights.items())[1:]), r"gives other names \(0\.weight\)|\(1\.weight\)"),
    "a name more": (lambda weights: weights | {"more": torch.ones(1)}, r"gives other names \(more\)"),
    "arrays": (lambda weights: {name: tensor.numpy() for name, tensor in weights.items()}, "weight as a ndarray"),
    "other shapes": (lambda weights: {name: t[None] for name, t in weights.items()}, r"weight of shape \(1, "),
    "other types": (lambda weights: {name: t.double() for name, t in weights.items()}, "type torch.float64"),
    "no numbers": (lambda weights: {name: t * torch.nan for name, t in weights.items()}, "that are not finite"),
}
ODD = [
    *(pytest.param({"takes": take}, words, id=f"takes {name}") for name, (take, words) in TAKES.items()),
    *(pytest.param({"gives": give}, words, id=f"gives {name}") for name, (give, words) in GIVES.items()),
]


@pytest.mark.parametrize(("does", "words"), ODD)
def test_a_broken_wrapper_is_named_before_the_training(does: dict[str, Any], words: str) -> None:
    with pytest.raises(PluginFault, match=rf"^wrapper 'odd' \(.*{Path(__file__).name}\): .*({words})"):
        training_passes(Standard(), make_threat(), [Odd(**does)])


@pytest.mark.parametrize(("does", "words"), ODD)
def test_one_that_breaks_later_is_named_in_the_training(does: dict[str, Any], words: str, tmp_path: Path) -> None:
    late = Odd(**does, after_updates=5)  # in the second epoch of four updates
    training_passes(Standard(), make_threat(), [late])
    data = dataset()
    trainer = Trainer(spec(data, 2), 1, Standard(), SmallCNN(width=2), data, tmp_path, [late])
    with pytest.raises(PluginFault, match=rf"^wrapper 'odd' \(.*{Path(__file__).name}\): .*({words})"):
        trainer.fit(lambda event: None)
    state = TrainingState.load(tmp_path, trainer.spec.identity, torch.device("cpu"))
    assert state is not None
    assert state.epoch == 1  # what was done before is kept


@dataclass(frozen=True, kw_only=True)
class Switching(Wrapper):
    """Switches torch's gradients off."""

    def after(self, model: nn.Module) -> None:
        torch.set_grad_enabled(False)


def test_counting_leaves_the_process_as_it_was() -> None:
    training_passes(Standard(), make_threat(), [Switching()])
    assert torch.is_grad_enabled()


def zeros(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    for tensor in weights.values():
        tensor.zero_()
    return weights


def test_a_wrapper_that_publishes_in_place_leaves_the_training_as_it_was(tmp_path: Path) -> None:
    data, trained = dataset(), []
    for name, wrappers in (("plain", []), ("zeros", [Odd(gives=zeros)])):
        (tmp_path / name).mkdir()
        trainer = Trainer(spec(data, 3), 1, Standard(), SmallCNN(width=2), data, tmp_path / name, wrappers)
        trainer.fit(lambda event: None)
        trained.append(trainer.model.state_dict())
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in trained[0])
    assert bool(trained[1]["0.weight"].any())
