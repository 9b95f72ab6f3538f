"""A convolution with its batch-norm folded in, and with a gradient for its input alone."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from harness.fast import winograd

FEW_CHANNELS = 4  # of the input: oneDNN computes as for 8, so a matrix product and a scattered sum cost half as much


class FoldedConvolution(nn.Module):
    """Computes what a convolution and its batch-norm compute in evaluation mode, as one convolution.

    With s = gamma / sqrt(var + eps), the weights are s W and the bias is beta + s (b - mean) (Jacob et al., CVPR 2018,
    arXiv:1712.05877, section 3.2). The weights are copies without gradient; ``refresh`` brings them up to date.
    """

    def __init__(self, convolution: nn.Conv2d, norm: nn.BatchNorm2d | None) -> None:
        super().__init__()
        self._of = (convolution, norm)  # in a tuple, so that they are no children of this module
        few = convolution.groups == 1 and convolution.in_channels <= FEW_CHANNELS
        self._few = few and convolution.weight.device.type == "cpu" and not isinstance(convolution.padding, str)
        self._by_tiles = winograd.suits(convolution)
        self._transformed: dict[bool, Tensor] = {}  # the weights for tiles: straight, and turned for the gradient
        self.training = False
        self.layout: torch.memory_format | None = None
        self.weight = convolution.weight.detach()
        self.use(torch.channels_last)

    @property
    def of(self) -> nn.Conv2d:
        """The convolution whose stride, padding, and dilation this one has."""
        return self._of[0]

    def use(self, layout: torch.memory_format) -> None:
        """Compute with features in this layout. The memory stays where it is if the layout does: a graph reads it."""
        if layout == self.layout and self.weight.dtype == self.of.weight.dtype:
            return
        self.layout = layout
        own = torch.contiguous_format if self._few and self.of.in_channels == 1 else layout  # oneDNN's faster one
        self.weight = torch.empty_like(self.of.weight, requires_grad=False, memory_format=own)
        none = self.of.bias is None and self._of[1] is None
        self.bias = None if none else self.weight.new_empty(self.of.out_channels)
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Fold anew, in place: the network's weights or statistics may have changed."""
        self._transformed.clear()
        convolution, norm = self._of
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

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, channels, height, width)`` to what the batch-norm gave."""
        if torch.is_autocast_enabled("cpu") or x.dtype != self.weight.dtype:
            return self.convolve(x)
        if self._by_tiles and winograd.takes(x):
            return _ByTiles.apply(x, self) if x.requires_grad else self.by_tiles(x)
        if self._few and x.requires_grad:
            return _FewChannels.apply(x, self)  # type: ignore[no-any-return]
        return self.convolve(x)

    def by_tiles(self, x: Tensor, *, turned: bool = False) -> Tensor:
        """The convolution, or what its gradient goes through, tile by tile."""
        if turned not in self._transformed:
            self._transformed[turned] = winograd.transformed(self.weight, turned=turned)
        outputs = winograd.convolve(x, self._transformed[turned])
        if self.bias is not None and not turned:
            outputs += self.bias[:, None, None]
        return self._laid_out(outputs)

    def convolve(self, x: Tensor) -> Tensor:
        """The convolution itself, its result in the layout that the next one wants."""
        of = self.of
        if of.in_channels > 1:
            x = self._laid_out(x)
        outputs = F.conv2d(x, self.weight, self.bias, of.stride, of.padding, of.dilation, of.groups)
        return self._laid_out(outputs)  # that of its gradient, too: a mixture of layouts is slow

    def _laid_out(self, features: Tensor) -> Tensor:
        assert self.layout is not None
        return features.contiguous(memory_format=self.layout)


class _ByTiles(torch.autograd.Function):
    """A convolution tile by tile; its gradient is one, too, with the weights turned round."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: FoldedConvolution) -> Tensor:
        ctx.layer = layer
        return layer.by_tiles(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.layer.by_tiles(gradient, turned=True), None


class _FewChannels(torch.autograd.Function):
    """A convolution of few input channels; its gradient is a matrix product whose columns are added up in the image."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: FoldedConvolution) -> Tensor:
        ctx.layer, ctx.size = layer, x.shape[2:]
        return layer.convolve(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        of = ctx.layer.of
        columns = ctx.layer.weight.flatten(1).t() @ gradient.flatten(2)
        geometry = {"dilation": of.dilation, "padding": of.padding, "stride": of.stride}
        images = F.fold(columns.flatten(0, 1), ctx.size, of.kernel_size, **geometry)  # images as channels: no loop
        return images.view(len(columns), of.in_channels, *ctx.size), None
