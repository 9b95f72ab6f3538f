"""Folded convolutions that follow each other, and perhaps the last layers of a network, as one layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from harness.fast.convolution import FoldedConvolution, masked

LARGEST = 2**16  # entries of a matrix of the last layer for all pixels: of more, the average costs less


class Chain(nn.Module):
    """Convolutions, each of which alone reads what the one before rectified, as one step of autograd.

    On a small network the library's bookkeeping takes as long as a convolution, so there is one entry for all of them.

    Args:
        linear: the layer that follows the average over all pixels, which follows the last convolution; None: no such.
    """

    def __init__(self, layers: Sequence[FoldedConvolution], linear: nn.Linear | None = None) -> None:
        super().__init__()
        self.layers, self._last = tuple(layers), (linear,)  # in tuples, so that they are no children of this module
        self._by_hand = all(layer.by_hand for layer in layers)
        self._spread: dict[int, Tensor] = {}  # the last layer's weights for all pixels, by their number
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, channels, height, width)`` to what the last layer gives."""
        by_hand = self._by_hand and len(x) > 0 and x.dtype == self.layers[0].weight.dtype
        if by_hand and not torch.is_autocast_enabled("cpu"):
            return _ByHand.apply(x, self) if x.requires_grad else self.outputs(x)[-1]
        for layer in self.layers:
            x = layer(x)
        return self._finished(x)

    def get_extra_state(self) -> list[Tensor]:
        """What it computes with: no parameters, so only this tells it to whoever asks for the network's state."""
        (linear,) = self._last
        own = [tensor for layer in self.layers for tensor in (layer.weight, layer.bias)]
        own += [] if linear is None else [linear.weight, linear.bias]
        return [tensor for tensor in own if tensor is not None]

    def refresh(self) -> None:
        """Bring the layers up to date, in place: the network's weights or statistics may have changed."""
        self._spread.clear()
        for layer in self.layers:
            layer.refresh()

    def outputs(self, x: Tensor) -> list[Tensor]:
        """The input, what each convolution gives, and what the chain gives."""
        found = [x]
        for layer in self.layers:
            found.append(layer.outputs(found[-1]))
        (linear,), features = self._last, found[-1]
        weight = None if linear is None else self._for_all_pixels(linear, features)
        if linear is None or weight is None:
            return [*found, self._finished(features)]
        return [*found, F.linear(features.permute(0, 2, 3, 1).flatten(1), weight, linear.bias)]

    def _for_all_pixels(self, linear: nn.Linear, features: Tensor) -> Tensor | None:
        """The weights ``(out, pixels * channels)`` of one product for the average and the layer; None: too many."""
        pixels = features.shape[2] * features.shape[3]
        if pixels * linear.weight.numel() > LARGEST:
            return None
        if pixels not in self._spread:
            self._spread[pixels] = (linear.weight.detach() / pixels).repeat(1, pixels)
        return self._spread[pixels]

    def _finished(self, features: Tensor) -> Tensor:
        (linear,) = self._last
        return features if linear is None else F.linear(features.mean((2, 3)), linear.weight, linear.bias)

    @property
    def reads_last(self) -> bool:
        """Whether the gradient depends on what the last convolution gave."""
        return self.layers[-1].rectifies or self._last != (None,)

    def input_gradient(self, gradient: Tensor, found: Sequence[Tensor]) -> Tensor:
        """The gradient for the input.

        Args:
            found: the input, and what each convolution gave; of the last one only if ``reads_last``.
        """
        (linear,), features = self._last, found[-1]
        if linear is not None:
            gradient = self._before_linear(linear, gradient, features)
        if self.layers[-1].rectifies:
            gradient = masked(gradient, features, torch.empty_like(features))
        for number in reversed(range(len(self.layers))):
            gradient = self.layers[number].input_gradient(gradient, found[number], masks=number > 0)
        return gradient

    def _before_linear(self, linear: nn.Linear, gradient: Tensor, features: Tensor) -> Tensor:
        """The gradient for the features: of an average over pixels, so each pixel has the same."""
        n, channels, down, across = features.shape
        weight = self._for_all_pixels(linear, features)
        if weight is not None:
            return (gradient @ weight).view(n, down, across, channels).permute(0, 3, 1, 2)
        each = gradient @ (linear.weight.detach() / (down * across))
        return each[:, :, None, None].expand_as(features)


class _ByHand(torch.autograd.Function):
    """A chain, with its own gradient for the input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, chain: Chain) -> Tensor:
        *found, result = chain.outputs(x)
        ctx.chain = chain
        # what is not read is not held, so that the network may write into it, as a residual network that adds in place
        ctx.save_for_backward(*(found if chain.reads_last else found[:-1]))
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.chain.input_gradient(gradient, ctx.saved_tensors), None
