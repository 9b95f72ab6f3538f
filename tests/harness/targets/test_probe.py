"""Probes: two functions are told apart by their logits or by their gradient, and rounding is not a difference."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.plugin.network import Shape
from harness.runtime.seeds import generator
from harness.targets.probe import DIRECTIONS, fixed_images, probe, same_function

SHAPE = Shape(1, 8, 8, 10)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 10))
    return layers.eval()


class Around(nn.Module):
    """The network with its input changed before; every change here leaves the logits as they are."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.change = network(), change

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(self.change(x))
        return logits


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "a gradient that is cut for half of the pixels": lambda x: torch.cat([x[..., :4].detach(), x[..., 4:]], -1),
    "a gradient twice as long": lambda x: 2 * x - x.detach(),
    "the other direction": lambda x: 2 * x.detach() - x,
    "one tenth longer": lambda x: 1.1 * x - 0.1 * x.detach(),
    "shuffled": lambda x: x.detach() + x.flip(-1) - x.flip(-1).detach(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_equal_logits_with_another_gradient_are_another_function(change: Callable[[Tensor], Tensor]) -> None:
    plain, changed = probe(network, SHAPE), probe(lambda: Around(change), SHAPE)
    logits = [torch.tensor(each["logits"]) for each in (plain, changed)]
    torch.testing.assert_close(logits[0], logits[1])
    assert not same_function(plain, changed)
    assert not same_function(changed, plain)


def test_what_a_pass_with_gradients_answers_counts() -> None:
    class Two(Around):
        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.net(x)
            return logits.square() if torch.is_grad_enabled() else logits

    assert not same_function(probe(network, SHAPE), probe(lambda: Two(lambda x: x), SHAPE))


def test_of_a_linear_network_by_hand() -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    found = torch.tensor(probe(lambda: linear, SHAPE)["gradients"], dtype=torch.float64)
    draws = generator(torch.device("cpu"), 0, "probe", "gradient")
    weights = torch.randn(len(fixed_images(SHAPE)), 10, generator=draws).double()
    directions = torch.randn(DIRECTIONS, 64, generator=draws).double()
    matrix: Tensor = linear.get_parameter("1.weight").detach().double()
    gradient = weights @ matrix
    torch.testing.assert_close(found[:, 0], gradient.square().sum(1).sqrt(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[:, 1:], gradient @ directions.T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("relative", [0.0, 1e-7, 1e-6, 1e-5])
def test_rounding_is_no_difference(relative: float) -> None:
    def moved() -> nn.Module:
        made = network()
        for number, parameter in enumerate(made.parameters()):
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
            parameter.data *= 1 + relative * noise
        return made

    assert same_function(probe(network, SHAPE), probe(moved, SHAPE))


def test_a_model_that_draws_in_its_backward_pass_alone_is_itself() -> None:
    draws = torch.Generator().manual_seed(5)

    class Draws(Around):
        def forward(self, x: Tensor) -> Tensor:
            x = x * 1.0
            if x.requires_grad:
                x.register_hook(lambda g: g + torch.randn(g.shape, generator=draws))  # type: ignore[no-untyped-call]
            logits: Tensor = self.net(x)
            return logits

    one, other = (probe(lambda: Draws(lambda x: x), SHAPE) for _ in range(2))
    assert one["noise"] == 0.0
    assert one["gradient_noise"] > 0.5
    assert one["gradients"] != other["gradients"]
    assert same_function(one, other)


@pytest.mark.parametrize(("sigma", "same"), [(0.02, True), (0.04, True), (0.3, False), (0.0, False)])
def test_a_model_that_draws_from_elsewhere_is_known_by_how_much(sigma: float, same: bool) -> None:
    draws = torch.Generator().manual_seed(5)

    def drawing(size: float) -> nn.Module:
        return Around(lambda x: x + size * torch.randn(x.shape, generator=draws)).eval()

    first, later = probe(lambda: drawing(0.02), SHAPE), probe(lambda: drawing(sigma), SHAPE)
    assert same_function(first, later) == same_function(later, first) == same


def test_one_without_gradients_or_of_other_classes_is_not_the_same() -> None:
    found = probe(network, SHAPE)
    before = {key: value for key, value in copy.deepcopy(dict(found)).items() if "gradient" not in key}
    assert not same_function(before, found)
    assert not same_function(found, {**found, "logits": [row[:9] for row in found["logits"]]})
