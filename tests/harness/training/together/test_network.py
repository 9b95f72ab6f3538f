"""A shared pass inside an update: every gradient is the whole batch's, whatever a method does; else it is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import SettingError
from harness.plugin.adversary import KL, Crafter, CrossEntropy, Margin, Objective, ascend
from harness.plugin.reach import Reach
from harness.runtime.seeds import global_seed
from harness.training.together.agreement import least_images, refuse_another_pass, refuse_other_weights
from harness.training.together.crafting import SharedCrafter
from harness.training.together.network import SharedNetwork
from harness.training.together.peers import Peers
from tests.harness.training.together.group import FOUR, Group
from tests.tiny import draws, make_batch, make_threat, make_tiny_model

SAME = 1e-10


class Dropping(nn.Module):
    """Draws in three ways, and uses one layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.tiny, self.twice = make_tiny_model(), nn.Linear(5, 5)
        self.twice_more = self.twice

    def forward(self, x: Tensor) -> Tensor:
        logits = F.dropout(self.tiny(x), 0.4, self.training)
        noisy = self.twice(logits) + 0.1 * torch.randn_like(logits)
        return cast(Tensor, self.twice_more(F.alpha_dropout(noisy, 0.3, self.training)))


def _plain(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(model(x), y)


def _over_the_batch(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    losses = F.cross_entropy(model(x), y, reduction="none")
    part: Tensor = model(x[: (len(x) + 1) // 2]).square().mean()
    return (losses.softmax(0).detach() * losses).sum() + losses.var(correction=0) + part  # defined for one row, too


def _of_the_weights(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return _plain(model, x, y) + 0.1 * sum((p.square().sum() for p in model.parameters()), torch.zeros(()))


def _of_layers(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    first = next(module for module in model.modules() if isinstance(module, nn.Sequential))
    features: Tensor = first[:3](x)
    return _plain(model, x, y) + features.square().mean()


def _of_a_copy(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    teacher = copy.deepcopy(model).eval()
    apart: Tensor = model(x) - teacher(x).detach()
    return apart.square().mean()


def _of_gradients(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    loss = _plain(model, x, y)
    gradients = torch.autograd.grad(loss, [x, *model.parameters()], create_graph=True)
    return loss + sum((gradient.square().sum() for gradient in gradients), torch.zeros(()))


LOSSES: tuple[Callable[[nn.Module, Tensor, Tensor], Tensor], ...] = (
    *(_plain, _over_the_batch, _of_the_weights, _of_layers, _of_a_copy, _of_gradients),
)
MODELS: tuple[Callable[[], nn.Module], ...] = (make_tiny_model, Dropping)


def gradients(peers: Peers, rows: int) -> list[dict[str, Tensor]]:
    """For each model and loss: the loss, every gradient, also that of the images, and the buffers after it."""
    found = []
    for make in MODELS:
        for loss in LOSSES:
            torch.manual_seed(2)
            model = make().double().train()
            x, y = make_batch(rows)
            x = x.double().requires_grad_()
            torch.manual_seed(3)
            with SharedNetwork(model, peers).shared():
                value = loss(model, x, y)
                of_x, *others = torch.autograd.grad(value, [x, *model.parameters()])
            names = [name for name, _ in model.named_parameters()]
            found.append({"loss": value.detach(), "x": of_x, **dict(zip(names, others, strict=True))})
            found[-1] |= {name: buffer.clone() for name, buffer in model.named_buffers()}
            found[-1]["state"] = torch.get_rng_state().double()
            assert all(isinstance(parameter, nn.Parameter) for parameter in model.parameters())
            assert not model._forward_hooks
    return found


@pytest.mark.parametrize("rows", [12, 7, 3, 1])  # of one row a process of two has none
@pytest.mark.parametrize("number", ["pair", FOUR])
def test_every_gradient_is_that_of_the_whole_batch(number: str, rows: int, request: pytest.FixtureRequest) -> None:
    group: Group = request.getfixturevalue(number)
    expected = gradients(Peers(), rows)
    for found in group.call(gradients, rows):
        for place, (one, other) in enumerate(zip(expected, found, strict=True)):
            assert one.keys() == other.keys()
            for name, tensor in one.items():
                apart = float((tensor.double() - other[name].double()).abs().max())
                assert apart <= SAME * (1 + float(tensor.abs().max())), (place, name)


class Looking(Objective):
    """Holds something of the whole batch, as a user's objective may."""

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        return self.weights * F.cross_entropy(logits, y, reduction="none")


def variants(peers: Peers, rows: int) -> list[Tensor]:
    model = make_tiny_model().double().train()
    x, y = make_batch(rows)
    x, other = x.double(), make_batch(rows, seed=1)[0].double()
    shared = SharedNetwork(model, peers)
    craft: Crafter = ascend if peers.alone else SharedCrafter(shared, ascend)
    asked: list[list[Objective]] = [[CrossEntropy(), Margin(), KL(x)], [KL(other)], [Looking(torch.rand(rows))]]
    found: list[Tensor] = []
    generator = draws()
    torch.manual_seed(1)
    with shared.shared():
        for objectives in asked:
            for variant in craft(model, x, y, objectives, make_threat(), generator):
                found += [variant.x, variant.steps_to_flip.double()]
        reach = Reach(stop_after=1, radii=torch.linspace(0.0, 3.0, rows))
        for variant in craft(model, x, y, [CrossEntropy(), KL(x)], make_threat(), generator, reach):
            found += [variant.x, variant.steps_to_flip.double()]
    assert all(module.training for module in model.modules())
    return [*found, generator.get_state().double()]


@pytest.mark.parametrize("rows", [12, 3, 1])
@pytest.mark.parametrize("number", ["pair", FOUR])
def test_variants_and_their_starts_are_those_of_the_whole_batch(
    number: str, rows: int, request: pytest.FixtureRequest
) -> None:
    group: Group = request.getfixturevalue(number)
    torch.manual_seed(1)
    expected = variants(Peers(), rows)
    for found in group.call(variants, rows):
        assert [tensor.shape for tensor in found] == [tensor.shape for tensor in expected]
        assert max(float((a - b).abs().max()) for a, b in zip(expected, found, strict=True)) <= SAME


class Own(nn.Module):
    """A network of which a share of the batch does not give the share of the logits, or of the gradient."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.layer = how, nn.Linear(108, 5)
        self.hidden = [self.layer.weight]

    def forward(self, x: Tensor) -> Any:
        logits = self.layer(x.flatten(1))
        if self.how == "mixes images":
            return logits - logits.mean(0)
        if self.how == "draws in a way of its own":
            return logits * (torch.rand(len(x), 1) < 0.5)
        if self.how == "hides a weight":
            return F.linear(x.flatten(1), self.hidden[0], self.layer.bias)
        if self.how == "gives two tensors":
            return logits, logits
        return logits


HOWS = ("mixes images", "draws in a way of its own", "hides a weight", "gives two tensors")


def refusals(peers: Peers) -> list[str]:
    found = []
    for how in (*HOWS, "nothing"):
        torch.manual_seed(0)
        network = SharedNetwork(Own(how).train(), peers)
        images = make_batch(least_images(peers))[0]
        try:
            if how == "gives two tensors":
                with network.shared():
                    network.model(images)
            else:
                refuse_another_pass(network, images)
            found.append("")
        except SettingError as error:
            found.append(str(error))
    return found


def test_a_network_that_cannot_be_shared_is_refused_by_every_process(pair: Group) -> None:
    for *refused, nothing in pair.call(refusals):
        assert nothing == ""
        assert all(text.startswith("--devices-per-run 2 is refused for this network: ") for text in refused)
        assert "since it mixes images or draws random numbers" in refused[0]


def other_weights(peers: Peers, change: str) -> str:
    model = make_tiny_model()
    with global_seed(torch.device("cpu"), 0):  # as in an epoch
        if change == "weights" and not peers.first:
            with torch.no_grad():
                next(model.parameters()).view(-1)[0] += 1e-6
        if change == "draws" and not peers.first:
            torch.rand(1)
        try:
            refuse_other_weights(model, peers)
        except SettingError as error:
            return str(error)
    return ""


def test_processes_whose_weights_differ_are_told_so(pair: Group) -> None:
    assert pair.call(other_weights, "nothing") == ["", ""]
    for change in ("weights", "draws"):
        assert all("hold other weights" in text for text in pair.call(other_weights, change))


def kept_copy(peers: Peers) -> bool:
    model, (x, _) = make_tiny_model().train(), make_batch()
    with SharedNetwork(model, peers).shared():
        kept = copy.deepcopy(model).eval()
    return not peers.first or torch.equal(kept(x), model.eval()(x))  # the first process alone passes it


def test_a_copy_that_a_method_keeps_waits_for_no_other_process(pair: Group) -> None:
    assert pair.call(kept_copy) == [True, True]
