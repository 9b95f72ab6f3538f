"""A convolution with its batch-norm and its ReLU folded in, by the fastest way for the images, and its gradient."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.fast import blocks, winograd
from harness.fast.strips import Strips

FEW_CHANNELS = 4  # of the input: oneDNN computes as for 8, so a matrix product and a scattered sum cost half as much


class FoldedConvolution:
    """Computes what a convolution, its batch-norm, and its ReLU compute in evaluation mode, as one convolution.

    With s = gamma / sqrt(var + eps), the weights are s W and the bias is beta + s (b - mean) (Jacob et al., CVPR 2018,
    arXiv:1712.05877, section 3.2). The weights are copies without gradient; ``refresh`` brings them up to date.

    Attributes:
        of: the convolution whose stride, padding, and dilation this one has.
        rectifies: whether the ReLU is computed, too; in place, so it costs next to nothing.
        by_hand: whether ``outputs`` and ``input_gradient`` compute it; else it goes through autograd.
    """

    def __init__(self, convolution: nn.Conv2d, norm: nn.BatchNorm2d | None, *, rectifies: bool = False) -> None:
        self.of, self._norm, self.rectifies = convolution, norm, rectifies
        self.by_hand = convolution.weight.device.type == "cpu" and not isinstance(convolution.padding, str)
        self._few = self.by_hand and convolution.groups == 1 and convolution.in_channels <= FEW_CHANNELS
        self._by_tiles = winograd.suits(convolution)
        self._strips: dict[torch.Size, Strips | None] = {}  # by the size of the images
        self._made: dict[Any, Any] = {}  # of the weights, by the way of computing that wants them so
        self._memory: dict[int, Tensor] = {}  # of what is made for tiles: so much takes long to get anew
        self.layout: torch.memory_format | None = None
        self.weight = convolution.weight.detach()
        self.use(torch.channels_last)

    def use(self, layout: torch.memory_format) -> None:
        """Compute with features in this layout. The memory stays where it is if the layout does: a graph reads it."""
        if layout == self.layout and self.weight.dtype == self.of.weight.dtype:
            return
        self.layout = layout
        own = torch.contiguous_format if self._few and self.of.in_channels == 1 else layout  # oneDNN's faster one
        self.weight = torch.empty_like(self.of.weight, requires_grad=False, memory_format=own)
        none = self.of.bias is None and self._norm is None
        self.bias = None if none else self.weight.new_empty(self.of.out_channels)
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Fold anew, in place: the network's weights or statistics may have changed."""
        self._made.clear()
        convolution, norm = self.of, self._norm
        if norm is None:
            self.weight.copy_(convolution.weight)
            if self.bias is not None and convolution.bias is not None:
                self.bias.copy_(convolution.bias)
            return
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = (norm.running_var + norm.eps).rsqrt()
        scale = scale if norm.weight is None else scale * norm.weight
        torch.mul(convolution.weight, scale[:, None, None, None], out=self.weight)
        mean = norm.running_mean if convolution.bias is None else norm.running_mean - convolution.bias
        assert self.bias is not None
        self.bias.copy_(-mean * scale if norm.bias is None else torch.addcmul(norm.bias, mean, scale, value=-1))

    def __call__(self, x: Tensor) -> Tensor:
        """``(batch, channels, height, width)`` to what the batch-norm, or the ReLU after it, gave; autograd sees it."""
        outputs = self.convolve(x)
        return F.relu(outputs) if self.rectifies else outputs

    def outputs(self, x: Tensor) -> Tensor:
        """The same without autograd, by the fastest way for images of this size."""
        strips, side = self._cut(x), self._side(x)
        if side is not None:
            return self._laid_out(winograd.convolve(x, self._tiles(side), self.bias, rectifies=self.rectifies))
        outputs = self.convolve(x) if strips is None else self._laid_out(strips.convolve(x, *self._as(strips)))
        return outputs.relu_() if self.rectifies else outputs

    def input_gradient(self, gradient: Tensor, x: Tensor, *, masks: bool) -> Tensor:
        """The gradient for the input ``x`` from that of the convolution's outputs, before any ReLU of its own.

        Args:
            masks: the input is what a ReLU gave; give the gradient for what the ReLU got.
        """
        size, strips, side = x.shape[2:], self._cut(x), self._side(x)
        if side is not None:
            weights, rectified = self._tiles(side), x if masks else None
            return self._laid_out(winograd.convolve(gradient, weights, turned=True, rectified=rectified))
        if strips is not None:
            found = strips.input_gradient(gradient, self._as(strips)[0])
        elif blocks.pays(self.of, *size):
            return self._block_by_block(self._laid_out(gradient), x, masks)
        elif self._few:
            found = self._scattered(gradient, size)
        else:
            found = self._ordinary(self._laid_out(gradient), x)
        return masked(found, x, found) if masks else found

    def convolve(self, x: Tensor) -> Tensor:
        """The convolution itself, its result in the layout that the next one wants."""
        of = self.of
        if of.in_channels > 1:
            x = self._laid_out(x)
        outputs = F.conv2d(x, self.weight, self.bias, of.stride, of.padding, of.dilation, of.groups)
        return self._laid_out(outputs)  # that of its gradient, too: a mixture of layouts is slow

    def _cut(self, x: Tensor) -> Strips | None:
        size = x.shape[2:]
        if size not in self._strips:
            self._strips[size] = Strips.of(self.of, *size)
        return self._strips[size]

    def _side(self, x: Tensor) -> int | None:
        """Of the tiles, where the convolution goes tile by tile."""
        return winograd.side(self.of, x) if self._by_tiles else None

    def _tiles(self, side: int) -> Tensor:
        """The weights for tiles."""
        if side not in self._made:
            self._made[side] = self._memory[side] = winograd.transformed(self.weight, side, self._memory.get(side))
        tiles: Tensor = self._made[side]
        return tiles

    def _as(self, strips: Strips) -> tuple[Tensor, Tensor | None]:
        """The matrix for strips, and the bias of each of its columns."""
        if strips not in self._made:
            self._made[strips] = strips.matrix(self.weight), strips.biases(self.bias)
        found: tuple[Tensor, Tensor | None] = self._made[strips]
        return found

    def _block_by_block(self, gradient: Tensor, x: Tensor, masks: bool) -> Tensor:
        stride = self.of.stride[0]
        if blocks not in self._made:
            self._made[blocks] = blocks.kernels(self.weight, stride)
        found = blocks.input_gradient(gradient, self._made[blocks], stride)
        images = torch.empty_like(x, memory_format=torch.channels_last)
        into = images.permute(0, 2, 3, 1).view(found.shape)
        if masks:  # in one go with putting the pixels in place
            masked(found, x.permute(0, 2, 3, 1).reshape(found.shape), into)
        else:
            into.copy_(found)
        return images

    def _scattered(self, gradient: Tensor, size: torch.Size) -> Tensor:
        """A matrix product, whose columns are added up in the images."""
        of = self.of
        assert not isinstance(of.padding, str)
        columns = self.weight.flatten(1).t() @ gradient.flatten(2)  # (batch, columns, pixels)
        high, wide = size
        of_channels = columns.flatten(0, 1)  # images as channels: no loop over them
        images = F.fold(of_channels, (high, wide), of.kernel_size, of.dilation, of.padding, of.stride)
        return images.view(len(columns), of.in_channels, *size)

    def _ordinary(self, gradient: Tensor, x: Tensor) -> Tensor:
        of, wanted = self.of, [True, False, False]
        geometry = (of.stride, of.padding, of.dilation, False, [0, 0], of.groups)
        found: Tensor = torch.ops.aten.convolution_backward(gradient, x, self.weight, None, *geometry, wanted)[0]
        return found

    def _laid_out(self, features: Tensor) -> Tensor:
        assert self.layout is not None
        return features.contiguous(memory_format=self.layout)


def masked(gradient: Tensor, rectified: Tensor, into: Tensor) -> Tensor:
    """Write the gradient, and zero where a ReLU gave zero, into a tensor, which may be the gradient itself."""
    found: Tensor = torch.ops.aten.threshold_backward.grad_input(gradient, rectified, 0, grad_input=into)
    return found
