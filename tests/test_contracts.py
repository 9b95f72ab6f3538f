"""What every registered method, attack, network, and data set must do; a new one is tested by existing."""

from __future__ import annotations

import copy
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from harness.attack import Attack
from harness.dataset import DataSource
from harness.errors import HarnessError
from harness.method import Method
from harness.network import Network, Shape
from harness.plugins import discover
from tests.tiny import draws, make_batch, make_step, make_threat, make_tiny_model

METHODS = {name: found.cls for name, found in discover("methods").found.items()}
ATTACKS = {name: found.cls for name, found in discover("attacks").found.items()}
NETWORKS = {name: found.cls for name, found in discover("networks").found.items()}
DATASETS = {name: found.cls for name, found in discover("datasets").found.items()}
SLOW_ATTACKS = {"autoattack"}  # half a minute even on a tiny network: it has tests of its own


@pytest.mark.parametrize("kind", ["methods", "attacks", "networks", "datasets"])
def test_nothing_that_ships_is_broken(kind: str) -> None:
    assert discover(kind).broken == []


@pytest.mark.parametrize("kind", ["methods", "attacks", "networks", "datasets"])
def test_everything_says_what_it_is_and_what_its_settings_mean(kind: str) -> None:
    for name, found in discover(kind).found.items():
        assert len(found.cls.summary()) > 20, name
        assert all(info.meaning for info in found.cls.describe()), name


@pytest.mark.parametrize("name", sorted(METHODS))
@pytest.mark.parametrize("progress", [0.0, 0.99], ids=["first epoch", "last epoch"])
class TestMethod:
    def method(self, name: str) -> Method:
        return cast(Method, METHODS[name]())

    def test_loss_is_a_finite_scalar_that_reaches_every_parameter(self, name: str, progress: float) -> None:
        model, (x, y) = make_tiny_model(), make_batch()
        loss = self.method(name).loss(make_step(model, x, y, progress=progress))
        assert loss.shape == ()
        assert bool(loss.isfinite())
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)
        assert all(bool(gradient.any()) for gradient in gradients[:2] + gradients[-2:])

    def test_it_leaves_no_gradient_the_mode_and_the_global_generator(self, name: str, progress: float) -> None:
        model, (x, y) = make_tiny_model(), make_batch()
        state = torch.get_rng_state()
        self.method(name).loss(make_step(model, x, y, progress=progress))
        assert all(parameter.grad is None for parameter in model.parameters())
        assert all(module.training for module in model.modules())
        assert torch.equal(torch.get_rng_state(), state)

    def test_it_is_repeatable(self, name: str, progress: float) -> None:
        x, y = make_batch()
        results = [
            self.method(name).loss(make_step(make_tiny_model(), x, y, progress=progress, seed=3)) for _ in range(2)
        ]
        assert torch.equal(results[0], results[1])

    def test_diagnostics_are_scalars_without_gradient(self, name: str, progress: float) -> None:
        logged: dict[str, Tensor] = {}
        model, (x, y) = make_tiny_model(), make_batch()
        self.method(name).loss(make_step(model, x, y, progress=progress, log=logged.__setitem__))
        assert all(value.shape == () and not value.requires_grad for value in logged.values())

    def test_batch_statistics_are_those_of_its_update_passes_alone(self, name: str, progress: float) -> None:
        """Crafting leaves the statistics; each set of inputs of the update moves them once, in its own pass."""
        model, (x, y) = make_tiny_model(), make_batch()
        seen: list[Tensor] = []
        model.register_forward_pre_hook(lambda m, inputs: seen.append(inputs[0].detach()) if m.training else None)
        other = copy.deepcopy(make_tiny_model())
        self.method(name).loss(make_step(model, x, y, progress=progress))
        assert {len(inputs) for inputs in seen} == {len(x)}
        other.train()
        for inputs in seen:
            other(inputs)
        for a, b in zip(model.buffers(), other.buffers(), strict=True):
            torch.testing.assert_close(a, b)

    def test_its_state_survives_a_save_and_a_load(self, name: str, progress: float) -> None:
        method = self.method(name)
        state = method.state_dict()
        other = self.method(name)
        other.load_state_dict(state)
        assert other.state_dict().keys() == state.keys()


@pytest.mark.parametrize("name", sorted(set(ATTACKS) - SLOW_ATTACKS))
class TestAttack:
    def perturb(self, name: str, model: nn.Module, x: Tensor, y: Tensor, seed: int = 0) -> Tensor:
        attack = cast(Attack, ATTACKS[name]())
        return attack.perturb(model.eval(), x, y, make_threat(), draws(seed))

    def test_it_stays_in_the_ball_and_in_the_image(self, name: str) -> None:
        model, (x, y) = make_tiny_model(), make_batch()
        x_adv = self.perturb(name, model, x, y)
        assert x_adv.shape == x.shape
        assert not x_adv.requires_grad
        assert float((x_adv - x).abs().max()) <= 0.1 + 1e-6
        assert bool(((x_adv >= 0) & (x_adv <= 1)).all())

    def test_the_seed_alone_decides(self, name: str) -> None:
        model, (x, y) = make_tiny_model(), make_batch()
        first = self.perturb(name, model, x, y)
        state = torch.get_rng_state()
        torch.rand(3)
        assert torch.equal(self.perturb(name, model, x, y), first)
        torch.set_rng_state(state)
        seeded = cast(Attack, ATTACKS[name]()).seeded
        assert torch.equal(self.perturb(name, model, x, y, seed=1), first) != seeded

    def test_it_leaves_the_network_as_it_was(self, name: str) -> None:
        model, (x, y) = make_tiny_model(), make_batch()
        before = copy.deepcopy(model.state_dict())
        self.perturb(name, model, x, y)
        assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
        assert all(parameter.grad is None for parameter in model.parameters())

    def test_its_identity_holds_what_it_reads_of_the_budget(self, name: str) -> None:
        attack, model, (x, y) = cast(Attack, ATTACKS[name]()), make_tiny_model(), make_batch()
        base, other = make_threat(steps=5), make_threat(steps=9)
        same = attack.settings_under(base) == attack.settings_under(other)
        results = [attack.perturb(model.eval(), x, y, threat, draws()) for threat in (base, other)]
        assert torch.equal(results[0], results[1]) == same


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_network_gives_logits_for_the_shape_it_was_built_for_or_refuses_it(name: str) -> None:
    network = cast(Network, NETWORKS[name]())
    shape = Shape(3, 32, 32, 7)
    with torch.random.fork_rng(devices=[]):
        model = network.build(shape)
    assert model.eval()(torch.zeros(2, *shape[:3])).shape == (2, 7)
    with pytest.raises(HarnessError, match="--arch"), torch.device("meta"):
        network.build(Shape(3, 500, 3, 7))


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_a_data_set_names_its_protocol_and_its_argument(name: str) -> None:
    from harness.protocol import protocol_names

    source = cast(type[DataSource], DATASETS[name])
    assert source.protocol in protocol_names()
    assert source.argument is None or source.argument in {info.name for info in source.describe()}
