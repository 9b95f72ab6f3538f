"""Convolution tile by tile: as exact as float32 allows, its gradient too, and only where it pays."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.fast import winograd
from harness.fast.chain import Chain
from harness.fast.convolution import FoldedConvolution
from tests.tiny import draws


def error(given: Tensor, exact: Tensor) -> float:
    """The root mean square error, relative to the root mean square."""
    return float((given - exact).detach().norm() / exact.detach().norm())


SIDES = pytest.mark.parametrize("side", winograd.SIDES)


@SIDES
@pytest.mark.parametrize(("n", "height", "width"), [(3, 4, 4), (2, 8, 8), (1, 12, 20), (9, 16, 16)])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (5, 7), (160, 128)])
def test_it_is_the_convolution_to_some_roundings(
    n: int, height: int, width: int, inputs: int, outputs: int, side: int
) -> None:
    x = torch.randn(n, inputs, height, width, generator=draws())
    weight = torch.randn(outputs, inputs, 3, 3, generator=draws(1))
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    weights = winograd.transformed(weight, side)
    assert weights.shape == ((side + 2) ** 2, outputs, inputs)
    given, ordinary = winograd.convolve(x, weights), F.conv2d(x, weight, padding=1)
    assert error(given, exact) < 2e-6
    assert not torch.equal(given, ordinary)  # it is another computation
    assert side == 2 or error(ordinary, exact) < error(given, exact)


@SIDES
@pytest.mark.parametrize("n", [3, 9])  # nine are done in parts, the last one smaller
def test_the_gradient_of_the_inputs_is_the_turned_convolution(side: int, n: int) -> None:
    x = torch.randn(n, 160, 16, 8, generator=draws(), dtype=torch.float64).requires_grad_()
    weight = torch.randn(128, 160, 3, 3, generator=draws(1))
    gradient = torch.randn(n, 128, 16, 8, generator=draws(2))
    (exact,) = torch.autograd.grad(F.conv2d(x, weight.double(), padding=1), x, gradient.double())
    assert error(winograd.convolve(gradient, winograd.transformed(weight, side), turned=True), exact) < 2e-6


@SIDES
@pytest.mark.parametrize("n", [3, 9])
def test_a_bias_a_relu_and_the_gradient_of_a_relu_are_computed_along(side: int, n: int) -> None:
    x = torch.randn(n, 128, 16, 8, generator=draws())
    weights = winograd.transformed(torch.randn(128, 128, 3, 3, generator=draws(1)), side)
    bias, rectified = torch.randn(128, generator=draws(2)), torch.randn(n, 128, 16, 8, generator=draws(3)).relu()
    alone = winograd.convolve(x, weights)
    assert torch.equal(winograd.convolve(x, weights, bias), alone + bias[:, None, None])
    assert torch.equal(winograd.convolve(x, weights, bias, rectifies=True), (alone + bias[:, None, None]).relu())
    assert torch.equal(winograd.convolve(x, weights, rectified=rectified), alone * (rectified > 0))


@SIDES
def test_one_output_by_hand(side: int) -> None:
    """The sum of each pixel's neighbourhood, zeros outside."""
    x = torch.arange(16.0).view(1, 1, 4, 4)
    given = winograd.convolve(x, winograd.transformed(torch.ones(1, 1, 3, 3), side))[0, 0]
    for i, j in itertools.product(range(4), range(4)):
        around = [
            4 * (i + a) + (j + b)
            for a, b in itertools.product((-1, 0, 1), (-1, 0, 1))
            if 0 <= i + a < 4 and 0 <= j + b < 4
        ]
        assert float(given[i, j]) == pytest.approx(sum(around), abs=1e-4)


@pytest.mark.parametrize("rectifies", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("n", "side"), [(40, 4), (5, 2)])
def test_a_layer_gives_the_convolutions_outputs_and_input_gradient(
    bias: bool, rectifies: bool, n: int, side: int
) -> None:
    own = nn.Conv2d(128, 160, 3, padding=1, bias=bias)
    layer = Chain([FoldedConvolution(own, None, rectifies=rectifies)])
    x = torch.randn(n, 128, 8, 8, generator=draws()).requires_grad_()
    assert winograd.side(own, x) == side
    weights = torch.randn(n, 160, 8, 8, generator=draws(1))
    exact_x = x.detach().double().requires_grad_()
    exact = F.conv2d(exact_x, own.weight.double(), None if own.bias is None else own.bias.double(), padding=1)
    open_ = layer(x.detach()) > 0 if rectifies else torch.ones(())  # else a rounding may open the ReLU, or shut it
    (exact_gradient,) = torch.autograd.grad((exact * weights * open_).sum(), exact_x)
    for given in (layer(x), layer(x.detach())):
        assert error(given, exact.relu() if rectifies else exact) < 2e-6
    (gradient,) = torch.autograd.grad((layer(x) * weights).sum(), x)
    assert error(gradient, exact_gradient) < 2e-6


@pytest.mark.parametrize("n", [16, 5])
def test_two_layers_hand_on_the_gradient_that_a_relu_lets_through(n: int) -> None:
    first, second = nn.Conv2d(128, 128, 3, padding=1), nn.Conv2d(128, 128, 3, padding=1)
    folded = FoldedConvolution(first, None, rectifies=True)
    layer = Chain([folded, FoldedConvolution(second, None)])
    x = torch.randn(n, 128, 8, 8, generator=draws()).requires_grad_()
    weights = torch.randn(n, 128, 8, 8, generator=draws(1))
    exact_x, open_ = x.detach().double().requires_grad_(), folded.outputs(x.detach()) > 0
    between = F.conv2d(exact_x, first.weight.double(), first.bias.double(), padding=1) * open_  # type: ignore[union-attr]
    exact = F.conv2d(between, second.weight.double(), second.bias.double(), padding=1)  # type: ignore[union-attr]
    (exact_gradient,) = torch.autograd.grad((exact * weights).sum(), exact_x)
    assert error(layer(x), exact) < 2e-6
    (gradient,) = torch.autograd.grad((layer(x) * weights).sum(), x)
    assert error(gradient, exact_gradient) < 2e-6


def test_changed_weights_are_transformed_anew() -> None:
    own = nn.Conv2d(128, 128, 3, padding=1)
    folded, x = FoldedConvolution(own, None), torch.randn(16, 128, 8, 8, generator=draws())
    layer = Chain([folded])
    before = layer(x)
    with torch.no_grad():
        own.weight.mul_(2)
        own.bias.mul_(2)  # type: ignore[union-attr]
    place = folded._made[4].data_ptr()
    folded.refresh()
    assert not folded._made
    assert torch.allclose(layer(x), 2 * before, rtol=1e-4, atol=1e-4)
    assert folded._made[4].data_ptr() == place  # so much memory takes long to get anew


OTHERS = {
    "a stride": nn.Conv2d(128, 128, 3, stride=2, padding=1),
    "no padding": nn.Conv2d(128, 128, 3),
    "padding by name": nn.Conv2d(128, 128, 3, padding="same"),
    "groups": nn.Conv2d(256, 256, 3, padding=1, groups=2),
    "a dilation": nn.Conv2d(128, 128, 3, padding=2, dilation=2),
    "a larger kernel": nn.Conv2d(128, 128, 5, padding=2),
    "few channels": nn.Conv2d(63, 128, 3, padding=1),
    "double precision": nn.Conv2d(128, 128, 3, padding=1, dtype=torch.float64),
}


@pytest.mark.parametrize("name", OTHERS)
def test_any_other_convolution_is_an_ordinary_one(name: str) -> None:
    assert not winograd.suits(OTHERS[name])


@pytest.mark.parametrize(
    ("channels", "shape", "side"),
    [
        (64, (1, 32, 32), 4),
        (64, (7, 8, 8), None),  # too few tiles of 4, too few channels for tiles of 2
        (128, (8, 8, 8), 4),
        (128, (7, 8, 8), 2),
        (512, (16, 4, 4), 2),
        (128, (48, 6, 8), 2),
        (128, (48, 8, 6), 2),
        (128, (48, 7, 8), None),
        (128, (3, 4, 4), None),
    ],
)
def test_the_images_decide_the_tiles(channels: int, shape: tuple[int, int, int], side: int | None) -> None:
    n, *size = shape
    own = nn.Conv2d(channels, channels, 3, padding=1)
    assert winograd.side(own, torch.empty(n, channels, *size)) == side


@pytest.mark.parametrize(
    ("n", "tiles", "channels", "count"),
    [
        (16, 64, 64, 1),  # 64 tiles at once
        (7, 16, 128, 4),  # 112: in two parts, of which the larger has 64
        (5, 16, 128, 5),  # 80: in one part
        (64, 1, 512, 64),
        (500, 1, 512, 250),  # 256 at once, or nearly so, as the weights are large
        (1, 4, 256, 1),
    ],
)
def test_parts_are_as_alike_as_can_be(n: int, tiles: int, channels: int, count: int) -> None:
    assert winograd._at_once(n, tiles, channels) == count


@pytest.mark.parametrize("shape", [(48, 128, 7, 8), (3, 128, 4, 4)])
def test_images_that_are_no_whole_tiles_or_too_few_are_convolved_as_usual(shape: tuple[int, ...]) -> None:
    own, x = nn.Conv2d(128, 128, 3, padding=1), torch.randn(shape, generator=draws())
    assert winograd.suits(own)
    assert winograd.side(own, x) is None
    assert torch.allclose(Chain([FoldedConvolution(own, None)])(x), own(x), atol=1e-5)
