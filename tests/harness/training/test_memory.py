"""What plugins may remember: just what a save and a load give back."""

from __future__ import annotations

import collections
import copy
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PosixPath
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import PluginFault
from harness.events import EpochDone, Event
from harness.networks.smallcnn import SmallCNN
from harness.planning.trials import training_passes
from harness.plugin.method import Method, Step
from harness.plugin.network import Shape
from harness.plugin.wrapper import Wrapper
from harness.training.loop import Trainer
from harness.training.memory import unsavable
from harness.training.state_file import read_state
from harness.wrappers.awp import AWP
from tests.harness.training.given import dataset, spec
from tests.tiny import make_threat


@dataclass(frozen=True, kw_only=True)
class Keeping(Method):
    """Keeps something in its memory: from the start, or from an update on."""

    name = "keeping"
    keeps: Callable[[], Any] = field(default=int)
    first: int = 0

    def __post_init__(self) -> None:
        """Nothing to check."""

    def prepare(self, model: nn.Module) -> None:
        self.memory["updates"] = 0
        if not self.first:
            self.memory["kept"] = self.keeps()

    def loss(self, step: Step) -> Tensor:
        self.memory["updates"] += 1
        if self.memory["updates"] == self.first:
            self.memory["kept"] = self.keeps()
        return F.cross_entropy(step.model(step.x), step.y)

    def resolved(self) -> dict[str, Any]:
        return vars(self) | {}

    @classmethod
    def from_mapping(cls, values: Any) -> Keeping:
        return cls(keeps=values["keeps"], first=values["first"])


SAVABLE: dict[str, Any] = {
    "numbers": [True, 3, 10**30, 1.5, 1j, None],
    "texts": ("a", b"b"),
    "a set": {1, "a"},
    "dicts": {"a": {2: [3.0]}, "b": collections.OrderedDict(c=1)},
    "a tensor": torch.arange(3.0),
    "a parameter": nn.Parameter(torch.arange(3.0)),
}
UNSAVABLE: dict[str, tuple[Callable[[], Any], str]] = {
    "a function": (lambda: lambda: 1, "a function"),
    "an open file": (lambda: io.BytesIO(), "a _io.BytesIO"),
    "a deque": (lambda: collections.deque([1]), "a collections.deque"),
    "a default": (lambda: collections.defaultdict(int), "a collections.defaultdict"),
    "a frozen set": (lambda: frozenset({1}), "a frozenset"),
    "an array": (lambda: np.zeros(2), "a numpy.ndarray"),
    "a number of numpy": (lambda: np.float64(1.5), "a numpy.float64"),
    "a path": (lambda: Path("a"), f"a {PosixPath.__module__}.PosixPath"),
    "a list of networks": (lambda: [nn.Linear(1, 1)], "a torch.nn.modules.linear.Linear"),
    "a key of a dict": (lambda: {frozenset({1}): 1}, "a frozenset"),
}


def again(value: Any) -> Any:
    """The value after a save and a load, as a resume has it."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize("value", SAVABLE.values(), ids=SAVABLE)
def test_what_may_be_remembered_comes_back_equal(value: Any) -> None:
    keeping = Keeping(keeps=lambda: value)
    keeping.prepare(nn.Linear(1, 1))
    assert unsavable(keeping) is None
    loaded = again(keeping.state_dict())["kept"]
    assert type(loaded) is type(value)
    assert torch.equal(loaded, value) if isinstance(value, Tensor) else loaded == value


@pytest.mark.parametrize(("keeps", "kind"), UNSAVABLE.values(), ids=UNSAVABLE)
def test_what_a_load_refuses_may_not_be_remembered(keeps: Callable[[], Any], kind: str) -> None:
    keeping = Keeping(keeps=keeps)
    keeping.prepare(nn.Linear(1, 1))
    assert str(unsavable(keeping)).startswith(f"its memory 'kept' holds {kind}, which a checkpoint does not give back")
    with pytest.raises((pickle.PicklingError, pickle.UnpicklingError, AttributeError, TypeError)):
        again(keeping.state_dict())


def test_a_network_is_remembered_under_a_name_of_its_own() -> None:
    keeping = Keeping(keeps=lambda: nn.BatchNorm1d(2))
    keeping.prepare(nn.Linear(1, 1))
    assert unsavable(keeping) is None


def test_a_tensor_with_its_graph_may_not_be_remembered() -> None:
    weight = torch.ones(2, requires_grad=True)
    keeping = Keeping(keeps=lambda: [weight, 2 * weight])
    keeping.prepare(nn.Linear(1, 1))
    assert "a tensor with a gradient's graph (detach it)" in str(unsavable(keeping))
    with pytest.raises(RuntimeError, match="deepcopy"):  # as a wrapper that takes the loss twice copies it
        copy.deepcopy(keeping.memory)


@dataclass(frozen=True, kw_only=True)
class Noting(Wrapper):
    """Remembers a function after an update."""

    name = "noting"

    def after(self, model: nn.Module) -> None:
        self.memory["rule"] = lambda: 1


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("wrappers", [[], [AWP()]], ids=["plain", "awp"])
def test_it_is_refused_before_the_training(first: int, wrappers: list[Wrapper]) -> None:
    with pytest.raises(PluginFault, match=r"^method 'keeping' .*: its memory 'kept' holds a function"):
        training_passes(Keeping(keeps=lambda: lambda: 1, first=first), make_threat(), wrappers)


def test_a_wrappers_memory_is_held_to_the_same_before_the_training() -> None:
    with pytest.raises(PluginFault, match=r"^wrapper 'noting' .*: its memory 'rule' holds a function"):
        training_passes(Keeping(), make_threat(), [Noting()], SmallCNN(width=2), Shape(1, 8, 8, 4))


@pytest.mark.parametrize(("first", "epochs"), [(0, 0), (1, 0), (6, 1)])
@pytest.mark.parametrize("wrappers", [[], [AWP()]], ids=["plain", "awp"])
def test_a_training_ends_with_the_reason_and_keeps_the_state_before_it(
    first: int, epochs: int, wrappers: list[Wrapper], tmp_path: Path
) -> None:
    data, events = dataset(), list[Event]()  # four updates an epoch
    method = Keeping(keeps=lambda: lambda: 1, first=first)
    trainer = Trainer(spec(data, 3), 1, method, SmallCNN(width=2), data, tmp_path, wrappers)
    with pytest.raises(PluginFault, match="its memory 'kept' holds a function"):
        trainer.fit(events.append)
    assert sum(isinstance(event, EpochDone) for event in events) == epochs
    assert method.memory["updates"] == (8 if first == 6 and not wrappers else first)  # awp copies it at every update
    assert (tmp_path / "state.pt").exists() == bool(epochs)
    if epochs:
        assert torch.load(io.BytesIO(read_state(tmp_path / "state.pt")), weights_only=True)["method"] == {"updates": 4}
