"""A network that trains beside the main one: moved, saved, resumed, and watched; and one that was trained before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import PluginFault, TrainingFailed
from harness.events import EpochDone, Event
from harness.methods.lbgat import LBGAT
from harness.networks.smallcnn import SmallCNN
from harness.plugin.given import Trained
from harness.plugin.method import Method, Step
from harness.training.company import Company
from harness.training.given_networks import give_networks, give_stand_ins
from harness.training.loop import Trainer
from harness.training.together.peers import ALONE
from harness.wrappers.awp import AWP
from harness.wrappers.ema import EMA
from tests.harness.training.given import checkpoints, dataset, spec

DATA, CPU = dataset(), torch.device("cpu")


def trainer(folder: Path, method: Method, seed: int = 0) -> Trainer:
    folder.mkdir(exist_ok=True)
    run, main = spec(DATA, epochs=2, seed=seed), SmallCNN(width=4)
    give_networks([method], run, main, DATA.shape, CPU, (), lambda _sha256: main.build(DATA.shape))
    return Trainer(run, 1, method, main, DATA, folder, [AWP(), EMA()])


def ends_after_the_first_epoch(event: Event) -> None:
    if isinstance(event, EpochDone) and event.record.epoch == 1:
        raise KeyboardInterrupt


def weights(network: nn.Module) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in network.state_dict().values()]


def test_a_stopped_training_goes_on_to_the_last_bit_in_both_networks(tmp_path: Path) -> None:
    found = []
    for stopped in (False, True):
        folder, method, events = tmp_path / str(stopped), LBGAT(beta=1.0), list[Event]()

        first = trainer(folder, method)
        begun = weights(method.networks["natural"])
        if stopped:
            with pytest.raises(KeyboardInterrupt):
                first.fit(ends_after_the_first_epoch)
            method, events = LBGAT(beta=1.0), []
            first = trainer(folder, method)
        first.fit(events.append)
        natural = weights(method.networks["natural"])
        assert not all(torch.equal(one, two) for one, two in zip(begun, natural, strict=True))
        found.append((checkpoints(events)["last"], natural))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(one, two) for one, two in zip(found[0][1], found[1][1], strict=True))


def test_the_network_beside_has_a_seed_of_its_own(tmp_path: Path) -> None:
    drawn = []
    for seed in (0, 0, 1):
        method = LBGAT()
        main = trainer(tmp_path, method, seed).model
        drawn.append(torch.cat([p.detach().flatten() for p in method.networks["natural"].parameters()]))
        assert not torch.equal(drawn[-1], torch.cat([p.detach().flatten() for p in main.parameters()]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_the_optimiser_moves_both_networks_alike(tmp_path: Path) -> None:
    """One step of SGD with momentum and weight decay, by hand, on the network beside."""
    method = LBGAT()
    one = trainer(tmp_path, method)
    one.begin()
    natural, protocol = method.networks["natural"], one.protocol
    before = [parameter.detach().clone() for parameter in natural.parameters()]
    for parameter in natural.parameters():
        parameter.grad = torch.ones_like(parameter)
    one.optimizer.step()
    for parameter, old in zip(natural.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.detach(), old - protocol.lr * (1 + protocol.weight_decay * old))


def test_each_network_is_clipped_by_the_length_of_its_own_gradient(tmp_path: Path) -> None:
    method = LBGAT()
    one = trainer(tmp_path, method)
    one.begin()
    networks = one.model, method.networks["natural"]
    for network, size in zip(networks, (1.0, 1e-6), strict=True):
        for parameter in network.parameters():
            parameter.grad = torch.full_like(parameter, size)
    long, short = (nn.utils.get_total_norm([cast(Tensor, p.grad) for p in net.parameters()]) for net in networks)
    Company(one.model, [method], ALONE).clip(replace(one.protocol, clip_norm=0.5))
    lengths = [nn.utils.get_total_norm([cast(Tensor, p.grad) for p in net.parameters()]) for net in networks]
    assert float(long) > 0.5
    assert [float(length) for length in lengths] == pytest.approx([0.5, float(short)], rel=1e-4)


@dataclass(frozen=True, kw_only=True)
class Changing(Method):
    """Lets its teacher learn statistics, which a stopped training would lose."""

    name = "changing"
    teacher: Trained = "0" * 64

    def prepare(self, model: nn.Module) -> None:
        self.networks["teacher"].add_module("norm", nn.BatchNorm2d(1))

    def loss(self, step: Step) -> Tensor:
        self.networks["teacher"].get_submodule("norm").train()(step.x)
        return step.cross_entropy(step.model(step.x)).mean()


@dataclass(frozen=True, kw_only=True)
class Waking(Changing):
    """Puts its teacher in training mode, and passes nothing through it."""

    def loss(self, step: Step) -> Tensor:
        self.networks["teacher"].train()
        return step.cross_entropy(step.model(step.x)).mean()


@pytest.mark.parametrize("method", [Changing(), Waking()], ids=["statistics", "mode"])
def test_a_network_that_was_trained_before_must_stay(method: Method, tmp_path: Path) -> None:
    with pytest.raises(PluginFault, match="it changed its network 'teacher', which was trained before"):
        trainer(tmp_path, method).fit(lambda _event: None)


def test_a_weight_of_the_network_beside_that_is_not_finite_ends_the_training(tmp_path: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Exploding(LBGAT):
        """Its natural network, of which the robust one knows nothing, gets a gradient that is not finite."""

        def loss(self, step: Step) -> Tensor:
            guide: Tensor = self.networks["natural"](step.x).nan_to_num()
            guide.register_hook(lambda gradient: gradient * torch.inf)  # type: ignore[no-untyped-call]
            loss: Tensor = F.cross_entropy(step.model(step.x), step.y) + guide.mean().tanh()
            return loss

    with pytest.raises(TrainingFailed, match="a weight is not finite"):
        trainer(tmp_path, Exploding()).fit(lambda _event: None)


def test_stand_ins_are_frozen_or_trained_as_the_networks_are() -> None:
    method, changing = LBGAT(), Changing()
    for part in (method, changing):
        give_stand_ins(part, lambda: SmallCNN(width=2).build(DATA.shape))
    assert all(parameter.requires_grad for parameter in method.networks["natural"].parameters())
    assert method.memory["natural"] is method.networks["natural"]
    assert not any(parameter.requires_grad for parameter in changing.networks["teacher"].parameters())
    assert not changing.networks["teacher"].training
    assert changing.memory == {}
