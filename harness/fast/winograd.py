"""3x3 convolutions of many channels by a quarter of the multiplications (Winograd's minimal filtering)."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 4  # of a tile of outputs; its inputs overlap with the next tile's by two
POINTS = (0.0, 2**0.5, -(2**0.5), 0.5**0.5, -(0.5**0.5))
"""Where the polynomials of Toom and Cook are evaluated, besides infinity.

In float32 the root mean square error of a convolution is some 1e-6 of its result with these points, and twice as large
with the usual 0, 1, -1, 2, -2. An ordinary convolution has some 2e-7."""
CHANNELS, TILES = 64, 64  # least of each; below them the transforms cost more than they save
AT_ONCE = 1_000_000  # bytes of tiles, if these are TILES or more: more leave the processor's cache


def suits(convolution: nn.Conv2d) -> bool:
    """Whether this module computes the convolution faster on a CPU, given images of a size that suits."""
    geometry = convolution.kernel_size, convolution.stride, convolution.padding, convolution.dilation
    weight = convolution.weight
    plain = geometry == ((3, 3), (1, 1), (1, 1), (1, 1)) and convolution.groups == 1
    many = min(convolution.in_channels, convolution.out_channels) >= CHANNELS
    return plain and many and weight.device.type == "cpu" and weight.dtype == torch.float32


def takes(x: Tensor) -> bool:
    """Whether the images are whole tiles, and enough of them."""
    n, _, height, width = x.shape
    whole = height % SIDE == 0 and width % SIDE == 0
    return whole and n * height * width >= TILES * SIDE**2


def transformed(weight: Tensor, *, turned: bool = False) -> Tensor:
    """The weights ``(out, in, 3, 3)`` of a convolution, as ``convolve`` wants them: ``(36, in, out)``.

    Args:
        turned: give those of the convolution that takes the gradient of the outputs to that of the inputs.
    """
    weight = weight.flip(2, 3).transpose(0, 1) if turned else weight
    columns = weight.permute(2, 3, 1, 0).reshape(9, -1)
    return (_matrices()[1] @ columns).view(-1, weight.shape[1], weight.shape[0])


def convolve(x: Tensor, weights: Tensor) -> Tensor:
    """A 3x3 convolution with padding 1: ``(n, in, h, w)`` to ``(n, out, h, w)``, with channels last.

    A tile of outputs is A^T [(G g G^T) * (B^T d B)] A (Lavin and Gray, CVPR 2016, arXiv:1509.09308, Eq. 8). The
    Kronecker product of a matrix with itself transforms both dimensions in one product. A few images are done at once,
    so that their tiles stay in the processor's cache.

    Args:
        weights: ``(36, in, out)``, from ``transformed``.
    """
    (n, _, height, width), (size, inputs, outputs) = x.shape, weights.shape
    across, down = width // SIDE, height // SIDE
    an_image = 4 * size * across * down * inputs  # bytes of its tiles
    count = max(math.ceil(TILES / (across * down)), AT_ONCE // an_image)
    # no view: the network may write into what a step of autograd gives, unless it is a view
    results = torch.empty((n, outputs, height, width), dtype=x.dtype, memory_format=torch.channels_last)
    tiled = results.permute(0, 2, 3, 1).view(n, down, SIDE, across, SIDE, outputs)
    into, _, back = _matrices()
    parts = (torch.split(each, count) for each in (x.permute(0, 2, 3, 1), tiled))
    for images, result in zip(*parts, strict=True):
        padded = F.pad(images, (0, 0, 1, 1, 1, 1))
        image, row, column, _ = padded.stride()
        shape = (SIDE + 2, SIDE + 2, len(images), down, across, inputs)
        tiles = padded.as_strided(shape, (row, column, image, SIDE * row, SIDE * column, 1)).reshape(size, -1)
        products = torch.bmm((into @ tiles).view(size, -1, inputs), weights)
        outs = (back @ products.view(size, -1)).view(SIDE, SIDE, len(images), down, across, outputs)
        result.copy_(outs.permute(2, 3, 0, 4, 1, 5))
    return results


@cache
def _matrices() -> tuple[Tensor, Tensor, Tensor]:
    """What transforms inputs ``(36, 36)``, weights ``(36, 9)``, and outputs ``(16, 36)``, both dimensions at once."""
    count = len(POINTS) + 1
    into, weights, back = np.zeros((count, count)), np.zeros((count, 3)), np.zeros((SIDE, count))
    for j, point in enumerate(POINTS):
        others = [other for other in POINTS if other != point]
        into[j, :-1] = np.poly(others)[::-1]
        weights[j] = point ** np.arange(3) / np.prod(point - np.array(others))
        back[:, j] = point ** np.arange(SIDE)
    into[-1] = np.poly(POINTS)[::-1]
    weights[-1, -1] = back[-1, -1] = 1.0
    into_, weights_, back_ = (torch.from_numpy(np.kron(each, each)).float() for each in (into, weights, back))
    return into_, weights_, back_
