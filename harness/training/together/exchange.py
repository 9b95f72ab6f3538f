"""Rows and weights that cross from one process to the others, with the gradients that come back.

Every process computes the same loss of the whole batch. So the gradient of whole rows is the same in each, and a share
of it is taken, not summed. A weight has a part of its gradient in each process, and these are summed. What is not
crossed by one of these functions is computed by every process alike, and has its whole gradient there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from harness.training.together.peers import Peers
from harness.training.together.shares import Share, sizes


def whole_rows(own: Tensor, share: Share, peers: Peers) -> Tensor:
    """The rows of all processes, in the batch's order, without gradient."""
    each = sizes(share.whole, peers.count)
    most = max(each)
    padded = own.detach() if len(own) == most else torch.cat([own.detach(), own.new_zeros(1, *own.shape[1:])])
    return torch.cat([rows[:size] for rows, size in zip(peers.gathered(padded), each, strict=True)])


class _Taken(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, whole: Tensor, share: Share, peers: Peers) -> Tensor:
        ctx.share, ctx.peers = share, peers
        return whole[share.start : share.stop].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return whole_rows(gradient, ctx.share, ctx.peers), None, None


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, share: Share, peers: Peers) -> Tensor:
        ctx.share = share
        return whole_rows(own, share, peers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        share: Share = ctx.share
        own = gradient[share.start : share.stop]
        return own if share.counts else torch.zeros_like(own), None, None


class _Copied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, peers: Peers, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.peers = peers
        ctx.set_materialize_grads(False)  # a weight without a gradient has none on one device, either
        return tuple(weight.detach() for weight in weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        return None, *summed(gradients, ctx.peers)


def taken(whole: Tensor, share: Share, peers: Peers) -> Tensor:
    """The share's rows of a batch that every process has; the gradient is that of the whole batch."""
    if not (torch.is_grad_enabled() and whole.requires_grad):
        return whole[share.start : share.stop]
    return cast(Tensor, _Taken.apply(whole, share, peers))


def gathered(own: Tensor, share: Share, peers: Peers) -> Tensor:
    """The rows of the whole batch from those of each process; the gradient is that of the share's rows."""
    return cast(Tensor, _Gathered.apply(own, share, peers))


def weight_copies(weights: Sequence[Tensor], peers: Peers) -> tuple[Tensor, ...]:
    """The weights, for a pass of a share; their gradient is the sum over the processes."""
    return cast(tuple[Tensor, ...], _Copied.apply(peers, *weights))


def summed(gradients: Sequence[Tensor | None], peers: Peers) -> list[Tensor | None]:
    """Each gradient summed over the processes; all of one type are sent at once."""
    found: list[Tensor | None] = list(gradients)
    places = defaultdict(list)
    for place, gradient in enumerate(gradients):
        if gradient is not None:
            places[gradient.dtype].append((place, gradient))
    for of_type in places.values():
        flat = peers.total(torch.cat([gradient.reshape(-1) for _, gradient in of_type]))
        parts = torch.split(flat, [gradient.numel() for _, gradient in of_type])
        for (place, gradient), part in zip(of_type, parts, strict=True):
            found[place] = part.view(gradient.shape)
    return found
