"""Convolutions of small images: one matrix product for a strip, one convolution for the gradient of a block."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.fast import blocks
from harness.fast.convolution import FoldedConvolution
from harness.fast.strips import LARGEST, Strips
from tests.tiny import draws

GEOMETRIES: list[dict[str, Any]] = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "padding": 1, "stride": 2},
    {"kernel_size": (2, 3), "padding": (0, 2), "stride": (1, 2)},
    {"kernel_size": 2, "stride": 3},
    {"kernel_size": 1},
    {"kernel_size": 2, "padding": 3, "stride": 2},  # some outputs read no row of the image
]


def with_gradient(own: nn.Conv2d, x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The convolution in double precision, and the gradient of a weighted sum of its outputs for the images."""
    leaf = x.detach().double().requires_grad_()
    bias = None if own.bias is None else own.bias.detach().double()
    outputs = F.conv2d(leaf, own.weight.detach().double(), bias, own.stride, own.padding)
    (gradient,) = torch.autograd.grad((outputs * weights).sum(), leaf)
    return outputs.detach().float(), gradient.float()


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_a_strip_is_the_convolution_and_its_gradient(geometry: dict[str, Any], whole: bool, bias: bool) -> None:
    own = nn.Conv2d(2, 5, bias=bias, **geometry)
    x = torch.randn(3, 2, 7, 6, generator=draws())
    strips = Strips(own, 7, 6, whole)
    matrix = strips.matrix(own.weight.detach())
    weights = torch.randn(3, 5, strips.down, strips.across, generator=draws(1))
    expected, gradient = with_gradient(own, x, weights)
    given = strips.convolve(x, matrix, strips.biases(None if own.bias is None else own.bias.detach()))
    assert torch.allclose(given, expected, atol=1e-5)
    assert torch.allclose(strips.input_gradient(weights, matrix), gradient, atol=1e-5)


def test_no_row_that_an_output_does_not_read_is_multiplied() -> None:
    strips = Strips(nn.Conv2d(32, 32, 3, 2, 1), 4, 4, True)
    row, written = 4 * 32, 2 * 32
    # the first row of outputs reads row 0 of the padding and rows 0 and 1; the second one rows 1 to 3
    forward = [(slice(0, written), slice(0, 2 * row)), (slice(written, 2 * written), slice(row, 4 * row))]
    backward = [
        (slice(0, row), slice(0, written)),
        (slice(row, 2 * row), slice(0, 2 * written)),
        (slice(2 * row, 4 * row), slice(written, 2 * written)),
    ]
    assert strips.bands == (forward, backward)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("view", ["crop", "transposed", "expanded"])
def test_images_may_lie_in_memory_in_any_way(geometry: dict[str, Any], whole: bool, view: str) -> None:
    own = nn.Conv2d(1, 5, **geometry)
    x = torch.randn(3, 1, 9, 9, generator=draws())
    x = {"crop": x[..., 1:-1, 2:-1], "transposed": x[..., 3:, 2:].transpose(2, 3), "expanded": x[:1, :, 2:, 3:]}[view]
    x = x.expand(3, 1, -1, -1)
    strips = Strips(own, x.shape[2], x.shape[3], whole)
    own.requires_grad_(False)
    given = strips.convolve(x, strips.matrix(own.weight), strips.biases(own.bias))
    assert torch.allclose(given, own(x), atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "outputs", "size", "stride", "expected"),
    [
        (1, 16, 8, 1, "rows"),  # the three convolutions of smallcnn on digits
        (16, 32, 8, 2, None),
        (32, 32, 4, 2, "whole"),
        (64, 64, 4, 2, None),  # too large a matrix
        (3, 16, 32, 1, None),  # too many zeros
    ],
)
def test_strips_are_used_where_few_of_the_multiplications_are_with_zeros(
    channels: int, outputs: int, size: int, stride: int, expected: str | None
) -> None:
    strips = Strips.of(nn.Conv2d(channels, outputs, 3, stride, 1), size, size)
    assert (None if strips is None else "whole" if strips.whole else "rows") == expected
    assert strips is None or strips.shape[0] * strips.shape[1] <= LARGEST


@pytest.mark.parametrize(
    "own", [nn.Conv2d(2, 4, 3, groups=2), nn.Conv2d(1, 4, 3, dilation=2), nn.Conv2d(1, 4, 3, padding="same")]
)
def test_another_kind_of_convolution_has_no_strips(own: nn.Conv2d) -> None:
    assert Strips.of(own, 8, 8) is None


@pytest.mark.parametrize(("channels", "size", "stride"), [(3, (16, 20), 1), (16, (8, 8), 2), (5, (4, 10), 2)])
@pytest.mark.parametrize("masks", [True, False])
def test_a_block_has_the_gradient_of_the_convolution(
    channels: int, size: tuple[int, int], stride: int, masks: bool
) -> None:
    own = nn.Conv2d(channels, 6, 3, stride, 1)
    assert blocks.pays(own, *size)
    x = torch.randn(2, channels, *size, generator=draws()).relu_()
    weights = torch.randn(own(x).shape, generator=draws(1))
    _, expected = with_gradient(own, x, weights)
    given = FoldedConvolution(own, None).input_gradient(weights, x, masks=masks)
    assert torch.allclose(given, torch.where(x > 0, expected, 0) if masks else expected, atol=1e-5)


def test_blocks_are_used_for_whole_blocks_of_few_channels_alone() -> None:
    own = nn.Conv2d(16, 32, 3, 2, 1)
    assert [blocks.pays(own, *size) for size in ((8, 8), (7, 8), (8, 10), (16, 16))] == [True, False, False, False]
    assert not blocks.pays(nn.Conv2d(17, 32, 3, 2, 1), 8, 8)
    assert not blocks.pays(nn.Conv2d(3, 32, 5, 1, 2), 32, 32)
