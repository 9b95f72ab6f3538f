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


@pytest.mark.parametrize(("n", "height", "width"), [(3, 4, 4), (2, 8, 8), (1, 12, 20)])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (5, 7), (160, 128)])
def test_it_is_the_convolution_to_some_roundings(n: int, height: int, width: int, inputs: int, outputs: int) -> None:
    x = torch.randn(n, inputs, height, width, generator=draws())
    weight = torch.randn(outputs, inputs, 3, 3, generator=draws(1))
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    ordinary = error(F.conv2d(x, weight, padding=1), exact)
    given = error(winograd.convolve(x, winograd.transformed(weight)), exact)
    assert given < 2e-6
    assert ordinary < given  # it is another computation


def test_one_output_by_hand() -> None:
    """The sum of each pixel's neighbourhood, zeros outside."""
    x = torch.arange(16.0).view(1, 1, 4, 4)
    given = winograd.convolve(x, winograd.transformed(torch.ones(1, 1, 3, 3)))[0, 0]
    for i, j in itertools.product(range(4), range(4)):
        around = [
            4 * (i + a) + (j + b)
            for a, b in itertools.product((-1, 0, 1), (-1, 0, 1))
            if 0 <= i + a < 4 and 0 <= j + b < 4
        ]
        assert float(given[i, j]) == pytest.approx(sum(around), abs=1e-4)


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_gives_the_convolutions_outputs_and_input_gradient(bias: bool) -> None:
    own = nn.Conv2d(128, 160, 3, padding=1, bias=bias)
    layer = Chain([FoldedConvolution(own, None)])
    x = torch.randn(40, 128, 8, 8, generator=draws()).requires_grad_()  # in three parts, the last one smaller
    assert winograd.takes(x)
    weights = torch.randn(40, 160, 8, 8, generator=draws(1))
    exact_x = x.detach().double().requires_grad_()
    exact = F.conv2d(exact_x, own.weight.double(), None if own.bias is None else own.bias.double(), padding=1)
    (exact_gradient,) = torch.autograd.grad((exact * weights).sum(), exact_x)
    for given in (layer(x), layer(x.detach())):
        assert error(given, exact) < 2e-6
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
    folded.refresh()
    assert torch.allclose(layer(x), 2 * before, rtol=1e-4, atol=1e-4)


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


@pytest.mark.parametrize("shape", [(48, 128, 6, 8), (48, 128, 8, 6), (15, 128, 8, 8)])
def test_images_that_are_no_whole_tiles_or_too_few_are_convolved_as_usual(shape: tuple[int, ...]) -> None:
    own, x = nn.Conv2d(128, 128, 3, padding=1), torch.randn(shape, generator=draws())
    assert winograd.suits(own)
    assert not winograd.takes(x)
    assert torch.allclose(Chain([FoldedConvolution(own, None)])(x), own(x), atol=1e-5)
