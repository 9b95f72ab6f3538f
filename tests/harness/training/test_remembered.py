"""What plugins keep between updates, and where: a stopped training goes on from it, or is refused before it begins."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from harness.conformance import Violation
from harness.conformance.method import memory
from harness.errors import PluginFault
from harness.events import EpochDone, Event
from harness.networks.smallcnn import SmallCNN
from harness.planning.trials import training_passes
from harness.plugin.method import Method, Step
from harness.plugin.network import Shape
from harness.plugin.wrapper import Wrapper
from harness.training.loop import Trainer
from harness.training.weights_place import weights_file
from harness.wrappers.awp import AWP
from tests.harness.training.given import dataset, spec
from tests.tiny import make_threat

FOUR = Shape(1, 8, 8, 4)


@dataclass(frozen=True, kw_only=True)
class Plain(Method):
    """Cross-entropy on the images."""

    def loss(self, step: Step) -> Tensor:
        return F.cross_entropy(step.model(step.x), step.y)


class Counts(Plain):
    """Counts its updates in an attribute."""

    def loss(self, step: Step) -> Tensor:
        object.__setattr__(self, "_updates", vars(self).get("_updates", 0) + 1)
        return super().loss(step) / self._updates  # type: ignore[attr-defined,no-any-return]


class Draws(Plain):
    """Draws from a generator in an attribute."""

    def prepare(self, model: nn.Module) -> None:
        object.__setattr__(self, "_draws", torch.Generator().manual_seed(0))

    def loss(self, step: Step) -> Tensor:
        return super().loss(step) * torch.rand((), generator=self._draws)  # type: ignore[attr-defined]


class Second(Plain):
    """A second network, whose optimiser is an attribute."""

    def prepare(self, model: nn.Module) -> None:
        second = self.memory["second"] = copy.deepcopy(model)
        object.__setattr__(self, "_sgd", torch.optim.SGD(second.parameters(), lr=0.1, momentum=0.9))

    def loss(self, step: Step) -> Tensor:
        sgd: torch.optim.SGD = self._sgd  # type: ignore[attr-defined]
        logits = self.memory["second"](step.x)
        sgd.zero_grad()
        F.cross_entropy(logits, step.y).backward()  # type: ignore[no-untyped-call]
        sgd.step()
        sgd.zero_grad()
        return F.mse_loss(step.model(step.x), logits.detach())


class SecondSaved(Second):
    """The same, with a state of its own."""

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"sgd": self._sgd.state_dict()}  # type: ignore[attr-defined]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._sgd.load_state_dict(state["sgd"])  # type: ignore[attr-defined]
        super().load_state_dict({name: value for name, value in state.items() if name != "sgd"})


class SecondLate(Plain):
    """A second network, which takes its gradient from the update before."""

    def prepare(self, model: nn.Module) -> None:
        self.memory["second"] = copy.deepcopy(model)

    def loss(self, step: Step) -> Tensor:
        return super().loss(step) + F.cross_entropy(self.memory["second"](step.x), step.y)


class Late(Plain):
    """A perturbation, which takes its gradient from the update before."""

    def prepare(self, model: nn.Module) -> None:
        self.memory["shift"] = torch.zeros((), requires_grad=True)

    def loss(self, step: Step) -> Tensor:
        return F.cross_entropy(step.model(step.x + self.memory["shift"]), step.y)


class Head(Plain):
    """Keeps the last layer's weights, not a copy."""

    def prepare(self, model: nn.Module) -> None:
        self.memory["head"] = [list(model.parameters())[-2]]

    def loss(self, step: Step) -> Tensor:
        return super().loss(step) + self.memory["head"][0].square().sum()  # type: ignore[no-any-return]


class Features(Plain):
    """Keeps the trained network's layers as a network."""

    def prepare(self, model: nn.Module) -> None:
        self.memory["features"] = nn.Sequential(*list(model.children())[:-1])


class Snapshot(Plain):
    """Keeps a network that an update made."""

    def loss(self, step: Step) -> Tensor:
        if "then" not in self.memory:
            self.memory["then"] = copy.deepcopy(step.model).requires_grad_(False)
        return super().loss(step)


@dataclass(frozen=True, kw_only=True)
class Anchored(Wrapper):
    """Keeps the initial weights, not a copy."""

    def prepare(self, model: nn.Module) -> None:
        self.memory["anchor"] = model.state_dict()


REFUSED: dict[type[Method], str] = {
    Counts: "its attribute '_updates' changed",
    Draws: "its attribute '_draws' changed",
    Second: "its attribute '_sgd' changed",
    SecondLate: r"its memory 'second' holds a gradient \(.grad\)",
    Late: r"its memory 'shift' holds a tensor with a gradient in .grad",
    Head: "its memory 'head' shares weights with the trained network",
    Features: "its memory 'features' shares weights with the trained network",
    Snapshot: "its memory 'then' is a network that prepare did not put there",
}


@pytest.mark.parametrize("wrappers", [[], [AWP()]], ids=["plain", "awp"])
@pytest.mark.parametrize(("method", "problem"), REFUSED.items(), ids=[cls.__name__ for cls in REFUSED])
def test_what_a_stop_would_lose_is_refused_before_the_training(
    method: type[Method], problem: str, wrappers: list[Wrapper]
) -> None:
    with pytest.raises(PluginFault, match=problem):
        training_passes(method(), make_threat(), wrappers, SmallCNN(width=2), FOUR)


def test_so_it_is_in_a_wrapper() -> None:
    with pytest.raises(PluginFault, match=r"^wrapper .*: its memory 'anchor' shares weights"):
        training_passes(Plain(), make_threat(), [Anchored()], SmallCNN(width=2), FOUR)


@pytest.mark.parametrize("method", REFUSED, ids=lambda cls: cls.__name__)
def test_a_training_is_held_to_the_same(method: type[Method], tmp_path: Path) -> None:
    data = dataset()
    with pytest.raises(PluginFault, match=REFUSED[method]):
        Trainer(spec(data, 2), 1, method(), SmallCNN(width=2), data, tmp_path).fit(lambda _event: None)
    assert not list(tmp_path.iterdir())


class Taught(Plain):
    """A frozen teacher and the network in attributes, and a constant that is made when it is asked for."""

    def prepare(self, model: nn.Module) -> None:
        object.__setattr__(self, "_student", model)
        object.__setattr__(self, "_teacher", copy.deepcopy(model).requires_grad_(False).eval())

    @cached_property
    def half(self) -> float:
        return 0.5

    def loss(self, step: Step) -> Tensor:
        taught: Tensor = self._teacher(step.x)  # type: ignore[attr-defined]
        return super().loss(step) + self.half * F.mse_loss(step.model(step.x), taught)


class NewHead(Plain):
    """A last layer of other parameters, with the values of the old one."""

    def prepare(self, model: nn.Module) -> None:
        assert isinstance(model, nn.Sequential)
        model[-1] = copy.deepcopy(model[-1])


class Assigned(Plain):
    """Weights that are loaded in the place of the parameters, with their values."""

    def prepare(self, model: nn.Module) -> None:
        model.load_state_dict({name: tensor.clone() for name, tensor in model.state_dict().items()}, assign=True)


def last_weights(method: Method, directory: Path, wrappers: list[Wrapper] | None = None) -> dict[str, Tensor]:
    """Those of a training over three epochs, or of what is left of it."""
    data = dataset()
    Trainer(spec(data, 3), 1, method, SmallCNN(width=2), data, directory, wrappers or []).fit(lambda _event: None)
    return load_file(weights_file(directory, "last"))


def equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@pytest.mark.parametrize("wrappers", [[], [AWP()]], ids=["plain", "awp"])
@pytest.mark.parametrize("method", [Taught, SecondSaved], ids=lambda cls: cls.__name__)
def test_what_is_not_lost_is_let_through_and_resumes_to_the_last_bit(
    method: Callable[[], Method], wrappers: list[Wrapper], tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    expected = last_weights(method(), whole, wrappers)

    def stop(event: Event) -> None:
        if isinstance(event, EpochDone):
            raise KeyboardInterrupt

    data = dataset()
    with pytest.raises(KeyboardInterrupt):
        Trainer(spec(data, 3), 1, method(), SmallCNN(width=2), data, parts, wrappers).fit(stop)
    assert equal(last_weights(method(), parts, wrappers), expected)


def test_a_state_of_its_own_moves_once_where_the_loss_is_taken_twice(tmp_path: Path) -> None:
    method = SecondSaved()
    plain, twice = tmp_path / "plain", tmp_path / "twice"
    plain.mkdir()
    twice.mkdir()
    assert equal(last_weights(method, twice, [AWP(gamma=0.0)]), last_weights(SecondSaved(), plain))


@pytest.mark.parametrize("method", [NewHead, Assigned], ids=lambda cls: cls.__name__)
def test_parameters_that_prepare_put_in_the_place_of_others_are_trained(method: type[Method], tmp_path: Path) -> None:
    plain, other = tmp_path / "plain", tmp_path / "other"
    plain.mkdir()
    other.mkdir()
    assert equal(last_weights(method(), other), last_weights(Plain(), plain))


@pytest.mark.parametrize("method", REFUSED, ids=lambda cls: cls.__name__)
def test_the_contract_says_the_same(method: type[Method]) -> None:
    with pytest.raises(Violation, match=REFUSED[method]):
        memory(method())


@pytest.mark.parametrize("method", [Plain, Taught, SecondSaved], ids=lambda cls: cls.__name__)
def test_the_contract_lets_through_what_a_training_does(method: type[Method]) -> None:
    memory(method())
