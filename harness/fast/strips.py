"""Convolutions of small images as one matrix product: a few rows of an image to a row of outputs, zeros in between.

oneDNN reaches a fraction of its usual speed on images of few pixels or of one channel. A matrix product multiplies by
zeros too, at two or three times the count, and still takes less time, the gradient's even more so. Of a whole image
there is a product for each row of outputs, or for some together, with the rows of the image that it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW = 4  # channels: of these oneDNN computes as for 8 or 16
MORE, MORE_OF_FEW = 2, 3  # at most so many times the multiplications of the convolution
LARGEST = 2**16  # entries of a matrix: more take longer to fill, and leave the processor's cache

Band = tuple[slice, slice]
"""Numbers of one side, and those of the other side that they depend on."""


@dataclass(frozen=True)
class Strips:
    """How images of one size are cut for one convolution.

    Attributes:
        whole: a strip is the whole image; else it is the rows that one row of outputs needs.
        rows: of outputs for each strip.
        reach: rows of the image that these need, padding included.
    """

    convolution: nn.Conv2d
    height: int
    width: int
    whole: bool

    @classmethod
    def of(cls, convolution: nn.Conv2d, height: int, width: int) -> Strips | None:
        """The strips for images of this size, or None where a product would not be faster."""
        if convolution.groups != 1 or convolution.dilation != (1, 1) or isinstance(convolution.padding, str):
            return None
        few = convolution.in_channels <= FEW
        for strips in (cls(convolution, height, width, True), cls(convolution, height, width, False)):
            inputs, outputs = strips.shape
            per_output = inputs * outputs / (strips.rows * strips.across * convolution.out_channels)
            least = convolution.weight[0].numel()
            if inputs * outputs <= LARGEST and per_output <= (MORE_OF_FEW if few else MORE) * least:
                return strips
        return None

    @property
    def down(self) -> int:
        """Rows of the outputs."""
        of = self.convolution
        return (self.height + 2 * int(of.padding[0]) - of.kernel_size[0]) // of.stride[0] + 1

    @property
    def across(self) -> int:
        """Columns of the outputs."""
        of = self.convolution
        return (self.width + 2 * int(of.padding[1]) - of.kernel_size[1]) // of.stride[1] + 1

    @property
    def rows(self) -> int:
        return self.down if self.whole else 1

    @property
    def reach(self) -> int:
        return self.height if self.whole else self.convolution.kernel_size[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix: numbers of a strip of the image, and of a strip of the outputs."""
        of = self.convolution
        return self.reach * self.width * of.in_channels, self.rows * self.across * of.out_channels

    @cached_property
    def bands(self) -> tuple[list[Band], list[Band]]:
        """For the outputs, which numbers of a strip they read; for the numbers, which outputs read them.

        Elsewhere the matrix is zero. The bands of a list cover its side whole, and each part of it once.
        """
        if not self.whole:
            return [(slice(None), slice(None))], [(slice(None), slice(None))]
        of, numbers = self.convolution, self.width * self.convolution.in_channels
        firsts = [to * of.stride[0] - int(of.padding[0]) for to in range(self.down)]
        reads = [range(max(0, first), min(self.height, first + of.kernel_size[0])) for first in firsts]
        readers = [[to for to, rows in enumerate(reads) if row in rows] for row in range(self.height)]
        outputs = self.across * of.out_channels
        return _bands(reads, outputs, numbers), _bands(readers, numbers, outputs)

    def matrix(self, weight: Tensor) -> Tensor:
        """The matrix of the weights ``(out, in, kernel, kernel)``, from a strip of the image to a strip of outputs.

        An entry at (row, column, channel; row, column, channel) depends on rows and columns by their differences alone.
        So one strided view of the matrix holds each weight once for each output, and copying fills it.
        """
        of = self.convolution
        (top, left), (down, across) = (int(of.padding[0]), int(of.padding[1])), of.stride
        outputs, inputs, tall, wide = weight.shape
        high = max((self.rows - 1) * down + tall, top + self.height)
        broad = max((self.across - 1) * across + wide, left + self.width)
        padded = weight.new_zeros(high, broad, inputs, self.rows, self.across, outputs)
        row, column, channel, to_row, to_column, _ = padded.stride()
        steps = (down * row + to_row, across * column + to_column, row, column, channel, 1)
        size = (self.rows, self.across, tall, wide, inputs, outputs)
        padded.as_strided(size, steps).copy_(weight.permute(2, 3, 1, 0))
        first = top if self.whole else 0
        return padded[first : first + self.reach, left : left + self.width].reshape(self.shape)

    def biases(self, bias: Tensor | None) -> Tensor | None:
        """The bias of each output of a strip, from that of each channel."""
        return bias if bias is None else bias.repeat(self.shape[1] // len(bias))

    def convolve(self, x: Tensor, matrix: Tensor, biases: Tensor | None) -> Tensor:
        """``(n, in, height, width)`` to ``(n, out, down, across)``, with channels last."""
        n, of = len(x), self.convolution
        size = self.width * of.in_channels
        # contiguous: of one channel, a crop or a transposed image is a view still, which no strip may be cut from
        images = x.permute(0, 2, 3, 1).reshape(n, self.height, size).contiguous()
        if self.whole:
            strips = images.flatten(1)
        else:
            padding = int(of.padding[0])
            padded = F.pad(images, (0, 0, padding, padding))
            image, row, _ = padded.stride()
            cut = padded.as_strided((n, self.down, self.reach, images.shape[2]), (image, of.stride[0] * row, row, 1))
            strips = cut.reshape(n * self.down, -1)
        # no view of a product: the network may write into what a step of autograd gives, unless it is a view
        shape = n, of.out_channels, self.down, self.across
        outputs = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        into = outputs.permute(0, 2, 3, 1).view(len(strips), matrix.shape[1])
        for to, of_strip in self.bands[0]:
            read, weights, written = strips[:, of_strip], matrix[of_strip, to], into[:, to]
            if biases is None:
                torch.mm(read, weights, out=written)
            else:
                torch.addmm(biases[to], read, weights, out=written)
        return outputs

    def input_gradient(self, gradient: Tensor, matrix: Tensor) -> Tensor:
        """The images' gradient ``(n, in, height, width)`` from that of the outputs, with channels last."""
        n, of = len(gradient), self.convolution
        outputs = gradient.permute(0, 2, 3, 1).reshape(-1, matrix.shape[1])
        strips = outputs.new_empty(len(outputs), len(matrix))
        for of_strip, to in self.bands[1]:
            torch.mm(outputs[:, to], matrix[of_strip, to].t(), out=strips[:, of_strip])
        if not self.whole:
            padding, down = int(of.padding[0]), of.stride[0]
            strips = strips.view(n, self.down, self.reach, -1)
            images = strips.new_zeros(n, self.height + 2 * padding, strips.shape[3])
            image, row, _ = images.stride()
            for first in range(0, self.reach, down):  # rows that do not overlap
                part = strips[:, :, first : first + down]
                images.as_strided(part.shape, (image, down * row, row, 1), first * row).add_(part)
            strips = images[:, padding : padding + self.height]
        return strips.reshape(n, self.height, self.width, of.in_channels).permute(0, 3, 1, 2)


def _bands(needed: Sequence[Sequence[int]], size: int, size_of_needed: int) -> list[Band]:
    """Rows one after the other that need the same rows of the other side, and these, both as numbers.

    Args:
        needed: the rows of the other side that each row needs, one after the other.
    """
    found: list[Band] = []
    for rows, alike in groupby(needed):
        begin = found[-1][0].stop if found else 0
        first, last = (rows[0], rows[-1] + 1) if rows else (0, 0)
        of_needed = slice(first * size_of_needed, last * size_of_needed)
        found.append((slice(begin, begin + size * len(list(alike))), of_needed))
    return found
