"""3x3 convolutions of many channels by a quarter of the multiplications (Winograd's minimal filtering)."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

SIDES = {4: (32, 64), 2: (16, 128)}
"""Of a tile of outputs, the better one first: the tiles and the channels that it takes at least, else its transforms
cost more than they save. A tile's inputs overlap with the next tile's by two. Of smaller tiles there are more, and
fewer weights to read."""
POINTS = {4: (0.0, 2**0.5, -(2**0.5), 0.5**0.5, -(0.5**0.5)), 2: (0.0, 1.0, -1.0)}
"""Where the polynomials of Toom and Cook are evaluated, besides infinity; by the side of a tile.

In float32 the root mean square error of a convolution is some 1e-6 of its result with 4x4 tiles, and would be twice as
large with the usual 0, 1, -1, 2, -2. With 2x2 tiles it is some 4e-7. An ordinary convolution has some 2e-7."""
ROWS = 64  # tiles that are done at once at least, if there are as many: a matrix product of fewer is slow


def suits(convolution: nn.Conv2d) -> bool:
    """Whether this module computes the convolution faster on a CPU, given images of a size that suits."""
    geometry = convolution.kernel_size, convolution.stride, convolution.padding, convolution.dilation
    weight = convolution.weight
    plain = geometry == ((3, 3), (1, 1), (1, 1), (1, 1)) and convolution.groups == 1
    many = _channels(convolution) >= min(channels for _, channels in SIDES.values())
    return plain and many and weight.device.type == "cpu" and weight.dtype == torch.float32


def side(convolution: nn.Conv2d, x: Tensor) -> int | None:
    """The side of the tiles of a convolution that suits, for these images: whole tiles, and enough; None: no tiles."""
    n, _, height, width = x.shape
    for side, (tiles, channels) in SIDES.items():
        whole = height % side == 0 and width % side == 0
        if whole and n * height * width >= tiles * side**2 and _channels(convolution) >= channels:
            return side
    return None


def _channels(convolution: nn.Conv2d) -> int:
    return min(convolution.in_channels, convolution.out_channels)


def transformed(weight: Tensor, side: int, into: Tensor | None = None) -> Tensor:
    """The weights ``(out, in, 3, 3)`` of a convolution, as ``convolve`` wants them: ``((side + 2)^2, out, in)``.

    Args:
        into: memory for them, such as those of other weights; None: new memory.
    """
    _, matrix, _ = _matrices(side)
    if into is None:
        into = weight.new_empty(len(matrix) ** 2, *weight.shape[:2])
    columns = weight.permute(2, 3, 0, 1).reshape(9, -1)
    torch.mm(torch.kron(matrix, matrix), columns, out=into.view(len(into), -1))
    return into


def convolve(
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None = None,
    *,
    turned: bool = False,
    rectifies: bool = False,
    rectified: Tensor | None = None,
) -> Tensor:
    """A 3x3 convolution with padding 1: ``(n, in, h, w)`` to ``(n, out, h, w)``, with channels last.

    A tile of outputs is A^T [(G g G^T) * (B^T d B)] A (Lavin and Gray, CVPR 2016, arXiv:1509.09308, Eq. 8). A few
    images are done at once, so that their tiles stay in the processor's cache.

    Args:
        weights: from ``transformed``.
        bias: ``(out,)``, added to the outputs.
        turned: take the gradient of the outputs to that of the inputs. That is the convolution with the kernels turned
            by 180 degrees, so each tile is turned before and after: ``(n, out, h, w)`` to ``(n, in, h, w)``.
        rectifies: whether a ReLU follows.
        rectified: of the result's shape, what a ReLU gave: the result is zero where it gave zero. Without a bias.
    """
    (n, _, height, width), side = x.shape, math.isqrt(len(weights)) - 2
    weights = weights if turned else weights.transpose(1, 2)
    _, inputs, outputs = weights.shape
    down, across = height // side, width // side
    # no view: the network may write into what a step of autograd gives, unless it is a view
    results = torch.empty((n, outputs, height, width), dtype=x.dtype, memory_format=torch.channels_last)
    tiled = n, down, side, across, side, outputs
    images, into = x.permute(0, 2, 3, 1), results.permute(0, 2, 3, 1).view(tiled)
    signs = None if rectified is None else rectified.permute(0, 2, 3, 1).reshape(tiled)
    count = _at_once(n, down * across, inputs)
    workplace = _Workplace(count, height, width, weights, turned=turned)
    for first in range(0, n, count):
        if n - first < count:  # the last few
            workplace = _Workplace(n - first, height, width, weights, turned=turned)
        part = slice(first, first + count)
        found, result = workplace.outputs(images[part]), into[part]
        if signs is not None:
            torch.ops.aten.threshold_backward.grad_input(found, signs[part], 0, grad_input=result)
        elif bias is not None:
            torch.add(found, bias, out=result)
        else:
            result.copy_(found)
        if rectifies:
            result.relu_()
    return results


def _at_once(n: int, tiles: int, channels: int) -> int:
    """Of n images, how many are done at once: more leave the cache, with fewer the weights are read too often."""
    parts = max(1, round(n * tiles / max(ROWS, channels // 2)))
    return math.ceil(n / parts)


class _Workplace:
    """Memory for the tiles of a few images, and for what becomes of them; used again, it stays in the cache."""

    def __init__(self, count: int, height: int, width: int, weights: Tensor, *, turned: bool) -> None:
        size, inputs, outputs = weights.shape
        self._weights, reach = weights, math.isqrt(size)
        side = reach - 2
        down, across = height // side, width // side
        tiles, new = count * down * across, weights.new_empty
        padded = weights.new_zeros(count, height + 2, width + 2, inputs)  # the edges stay zero
        image, row, column, _ = padded.stride()
        shape, steps = (reach, reach, count, down, across, inputs), (row, column, image, side * row, side * column, 1)
        self._inner, self._windows = padded[:, 1:-1, 1:-1], padded.as_strided(shape, steps)
        self._tiles, self._half = new(shape), new(reach, reach, tiles * inputs)
        self._products, self._rows = new(size, tiles, outputs), new(side, reach, tiles * outputs)
        self._outputs = new(side, side, tiles * outputs)
        self._placed = self._outputs.view(side, side, count, down, across, outputs).permute(2, 3, 0, 4, 1, 5)
        into, _, back = _matrices(side)
        self._into, self._back = (into.flip(1), back.flip(0)) if turned else (into, back)

    def outputs(self, images: Tensor) -> Tensor:
        """``(count, height, width, in)`` to ``(count, down, side, across, side, out)``; the next call overwrites it."""
        into, back = self._into, self._back
        self._inner.copy_(images)
        self._tiles.copy_(self._windows)
        _transform(into, self._tiles, self._half, self._tiles)
        tiles = self._tiles.view(self._weights.shape[0], -1, self._weights.shape[1])
        torch.bmm(tiles, self._weights, out=self._products)
        _transform(back, self._products, self._rows, self._outputs)
        return self._placed


def _transform(matrix: Tensor, tiles: Tensor, half: Tensor, into: Tensor) -> None:
    """Apply a matrix to both dimensions of tiles ``(p, p, ...)``: to the first, then to the second."""
    to, size = matrix.shape
    torch.mm(matrix, tiles.view(size, -1), out=half.view(to, -1))
    torch.bmm(matrix.expand(to, to, size), half.view(to, size, -1), out=into.view(to, to, -1))


@cache
def _matrices(side: int) -> tuple[Tensor, Tensor, Tensor]:
    """What transforms a dimension of inputs (B^T), of weights (G), and of outputs (A^T)."""
    points = POINTS[side]
    count = len(points) + 1
    into, weights, back = np.zeros((count, count)), np.zeros((count, 3)), np.zeros((side, count))
    for j, point in enumerate(points):
        others = [other for other in points if other != point]
        into[j, :-1] = np.poly(others)[::-1]
        weights[j] = point ** np.arange(3) / np.prod(point - np.array(others))
        back[:, j] = point ** np.arange(side)
    into[-1] = np.poly(points)[::-1]
    weights[-1, -1] = back[-1, -1] = 1.0
    into_, weights_, back_ = (torch.from_numpy(each).float() for each in (into, weights, back))
    return into_, weights_, back_
