"""A network that is not all in its saved weights is refused when it is to be published, and no other one is."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest
import torch
from torch import nn

from harness.errors import PluginFault
from harness.events import EpochDone, Event
from harness.methods.sat import SAT
from harness.methods.standard import Standard
from harness.plugin.network import Network, Shape
from harness.plugin.wrapper import Wrapper
from harness.registry.catalogue import discover
from harness.training.loop import Trainer
from harness.training.rebuilt import Rebuilding, difference
from harness.training.weights_place import weights_file
from harness.wrappers.awp import AWP
from harness.wrappers.ema import EMA
from tests.harness.training.given import checkpoints, dataset, spec
from tests.harness.training.networks import (
    KEPT,
    LOST,
    Averages,
    AveragesInASavedBuffer,
    Base,
    Counts,
    CountsInTraining,
    DrawsFromGlobals,
    DrawsFromItsOwn,
    GrowsABuffer,
    Normed,
    Unseeded,
)
from tests.tiny import draws


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
