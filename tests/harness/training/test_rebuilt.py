"""A network that is not all in its saved weights is refused when it is to be published, and no other one is."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.errors import PluginFault
from harness.events import EpochDone, Event
from harness.methods.sat import SAT
from harness.methods.standard import Standard
from harness.plugin.network import Network, Shape
from harness.plugin.wrapper import Wrapper
from harness.registry.catalogue import discover
from harness.training.checkpoints import weights_file
from harness.training.loop import Trainer
from harness.training.rebuilt import Rebuilding, difference
from harness.wrappers.awp import AWP
from harness.wrappers.ema import EMA
from tests.harness.training.test_loop import checkpoints, dataset, spec
from tests.tiny import draws


class Base(nn.Module):
    """A linear layer, and something that subclasses do before and after it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layer = nn.Linear(shape.channels * shape.height * shape.width, shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layer(x.flatten(1))
        return logits


class Counts(Base):
    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.n = 1

    def forward(self, x: Tensor) -> Tensor:
        self.n += self.training
        return super().forward(x) * self.n


class CountsAlways(Counts):
    def forward(self, x: Tensor) -> Tensor:
        self.n += 1
        return super().forward(x)


class CountsInAList(Base):
    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.n = [1]

    def forward(self, x: Tensor) -> Tensor:
        self.n[0] += self.training
        return super().forward(x) * self.n[0]


class Averages(Base):
    mean: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.hold("mean", torch.zeros(()))

    def hold(self, name: str, value: Tensor) -> None:
        setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean()
        return super().forward(x - self.mean)


class AveragesInABuffer(Averages):
    def hold(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)


class AveragesInASavedBuffer(Averages):
    def hold(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value)


class GrowsABuffer(Base):
    def forward(self, x: Tensor) -> Tensor:
        if self.training and not hasattr(self, "mean"):
            self.register_buffer("mean", x.mean(0))
        return super().forward(x)


class CountsElsewhere(Base):
    """Numbers of a kind that nothing puts back, counted by every pass."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.count = itertools.count(1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * next(self.count)


class CountsForAll(Base):
    """All networks of the process count together."""

    n = 1

    def forward(self, x: Tensor) -> Tensor:
        type(self).n += self.training
        return super().forward(x) * self.n


class Caches(Base):
    """Keeps features with their graph, and builds a table at its first pass: no copy can be made of it."""

    table: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.table is None:
            self.table = torch.linspace(0.5, 1.0, x[0].numel())
        self.features = super().forward(x.flatten(1) * self.table)
        return self.features


class DrawsFromItsOwn(Base):
    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.draws = torch.Generator().manual_seed(0)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + 0.5 * torch.randn(x.shape, generator=self.draws))


class Unseeded(Base):
    """Weights and draws that no seed decides, against the contract: no reason to say that its weights are not all."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.draws = np.random.default_rng()
        nn.init.constant_(self.layer.bias, self.draws.random())

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + self.draws.random())


class DrawsFromGlobals(Base):
    def forward(self, x: Tensor) -> Tensor:
        noise = random.random() + float(np.random.rand()) + torch.rand(x.shape)
        return super().forward(nn.functional.dropout(x, 0.3) + noise)


class NotANumber(Base):
    """As a training that has diverged leaves it, in evaluation mode."""

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits if self.training else logits * torch.tensor([math.nan, math.inf, 1.0, -math.inf])


class Normed(Base):
    """Weight norm, of both kinds, and spectral norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.a = nn.utils.parametrizations.weight_norm(nn.Linear(64, 64))
        self.b = nn.utils.parametrizations.spectral_norm(nn.Linear(64, 64))
        self.tied = nn.Linear(64, 64)
        self.tied.bias = self.a.bias

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + self.tied(self.b(self.a(x.flatten(1)).relu())).view_as(x))


class CountsInTraining(Base):
    """What it counts plays a part in training mode alone, as a schedule of dropout does."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.n = 1

    def forward(self, x: Tensor) -> Tensor:
        self.n += 1  # in every pass: one more would make another training
        return super().forward(x) * self.n if self.training else super().forward(x)


@dataclass(frozen=True, kw_only=True)
class Built(Network):
    """Builds the module that a test names."""

    name = "built"
    module: ClassVar[Callable[[Shape], nn.Module]]

    def build(self, shape: Shape) -> nn.Module:
        return type(self).module(shape)


def trainer(folder: Path, module: Any, wrappers: Sequence[Wrapper] = (), *, early: float = 0.5) -> Trainer:
    folder.mkdir(exist_ok=True)
    Built.module = module
    data = dataset()
    made = spec(data, 2)
    made.training["early"] = early
    return Trainer(made, 1, SAT(), Built(), data, folder, wrappers)


def stopped_after(epoch: int, made: Trainer) -> None:
    def hear(event: Event) -> None:
        if isinstance(event, EpochDone) and event.record.epoch == epoch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.fit(hear)


LOST = (Counts, CountsAlways, CountsInAList, Averages, AveragesInABuffer, CountsElsewhere, CountsForAll)
KEPT = (Base, AveragesInASavedBuffer, Caches, DrawsFromItsOwn, DrawsFromGlobals, NotANumber, Normed, CountsInTraining)


@pytest.mark.parametrize("wrappers", [[], [AWP(), EMA(decay=0.5)]], ids=["plain", "awp+ema"])
@pytest.mark.parametrize("module", LOST)
def test_a_network_that_is_not_all_in_its_weights_is_refused_before_they_are_written(
    module: Any, wrappers: list[Wrapper], tmp_path: Path
) -> None:
    with pytest.raises(PluginFault, match=r"(rebuilt|new) .*persistent buffers.*harness check network built") as caught:
        trainer(tmp_path, module, wrappers).fit(lambda event: None)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"network 'built' ({Path(__file__).resolve()}")
    assert not weights_file(tmp_path, "early").exists()


def test_a_network_whose_weights_do_not_fit_it_anew_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginFault, match=r"does not take the weights .*mean"):
        trainer(tmp_path, GrowsABuffer).fit(lambda event: None)
    assert not weights_file(tmp_path, "early").exists()


def states(network: nn.Module) -> list[Any]:
    return [
        [(name, p.tolist(), p._version, p.requires_grad, p.grad) for name, p in network.named_parameters()],
        [(name, buffer.tolist()) for name, buffer in network.named_buffers()],
        [(module.training, sorted(vars(module))) for module in network.modules()],
        [value for module in network.modules() for value in vars(module).values() if isinstance(value, int)],
        (torch.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state())),
    ]


@pytest.mark.parametrize("module", KEPT)
def test_every_other_network_is_published_and_its_training_is_the_same_to_the_last_bit(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, wrappers in {"plain": [], "wrapped": [AWP(), EMA(decay=0.5)]}.items():
        found = []
        for compared in (True, False):
            with monkeypatch.context() as patched:
                if not compared:
                    patched.setattr(Rebuilding, "refuse_lost_state", lambda *_args, **_named: None)
                events: list[Event] = []
                trainer(tmp_path / f"{name} {compared}", module, wrappers).fit(events.append)
            found.append(checkpoints(events))
        assert found[0] == found[1]
        assert found[0].keys() == {"early", "last"}


@pytest.mark.parametrize("module", [*LOST, *KEPT])
@pytest.mark.parametrize("training", [False, True])
def test_a_comparison_leaves_all_as_it_was(module: Any, training: bool) -> None:
    data = dataset(8)
    images = data.pixels(data.train.images)
    network, other = module(data.shape).train(), module(data.shape).eval()
    network.layer.bias.requires_grad_(False)
    network(images)
    before = states(network), states(other)
    difference(network, other, images, training=training)
    assert (states(network), states(other)) == before


def test_a_network_that_no_seed_decides_is_not_refused_by_chance(tmp_path: Path) -> None:
    for place in range(5):
        trainer(tmp_path / str(place), Unseeded).fit(lambda event: None)


def test_the_difference_by_hand() -> None:
    shape = Shape(1, 8, 8, 4)
    network, twice = Base(shape), Base(shape)
    twice.load_state_dict(network.state_dict())
    images = torch.rand(5, 1, 8, 8, generator=draws())
    assert difference(network, twice, images) == 0.0
    with torch.no_grad():
        logits = network(images)
        spread = (logits.amax(1) - logits.median(1).values).min()
        twice.layer.bias.add_(0.9e-4 * spread)
    assert difference(network, twice, images) == 0.0  # as much as another order of summation may make
    with torch.no_grad():
        twice.layer.bias[2].add_(0.25)
    assert difference(network, twice, images) == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize("module", [Counts, Averages])
def test_a_training_that_was_resumed_is_refused_too_also_where_only_its_end_is_published(
    module: Any, tmp_path: Path
) -> None:
    stopped_after(1, trainer(tmp_path, module, early=1.0))
    with pytest.raises(PluginFault, match="the trained network answers otherwise"):
        trainer(tmp_path, module, early=1.0).fit(lambda event: None)


def test_a_schedule_outside_the_weights_may_not_be_resumed(tmp_path: Path) -> None:
    trainer(tmp_path / "whole", CountsInTraining).fit(lambda event: None)
    stopped_after(1, trainer(tmp_path / "parts", CountsInTraining))
    with pytest.raises(
        PluginFault, match=r"in training mode, from which it was resumed, the trained network answers otherwise"
    ):
        trainer(tmp_path / "parts", CountsInTraining).fit(lambda event: None)
    assert not weights_file(tmp_path / "parts", "last").exists()
    for module in (Base, AveragesInASavedBuffer, DrawsFromItsOwn, DrawsFromGlobals, Normed):
        stopped_after(1, trainer(tmp_path / module.__name__, module))
        trainer(tmp_path / module.__name__, module).fit(lambda event: None)


def test_what_a_method_leaves_on_a_network_that_ships_is_the_methods_fault(tmp_path: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Hooks(Standard):
        name = "hooks"

        def prepare(self, model: nn.Module) -> None:
            model.register_forward_hook(lambda _model, _inputs, logits: 3 * logits)

    data, smallcnn = dataset(), cast(Network, discover("networks").get("smallcnn")())
    with pytest.raises(PluginFault, match=r"^method 'hooks' .* answers otherwise"):
        Trainer(spec(data, 1), 1, Hooks(), smallcnn, data, tmp_path).fit(lambda event: None)
