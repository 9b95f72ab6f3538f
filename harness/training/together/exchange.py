"""Rows and weights that cross from one process to the others, with the gradients that come back.

Every process computes the same loss of the whole batch. So the gradient of whole rows is the same in each, and a share
of it is taken, not summed. A weight has a part of its gradient in each process, and these are summed. What is not
crossed by one of these functions is computed by every process alike, and has its whole gradient there.

Each gradient is made of these functions again, so that a loss may hold a gradient: taken and gathered are each other's,
copied and summed are, and a total is its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

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
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return cast(Tensor, _Gathered.apply(gradient, ctx.share, ctx.peers)), None, None


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, share: Share, peers: Peers) -> Tensor:
        ctx.share, ctx.peers = share, peers
        return whole_rows(own, share, peers)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        own = cast(Tensor, _Taken.apply(gradient, ctx.share, ctx.peers))
        # times zero, and no new zeros: each process has the same functions before it, and meets the others in each
        return own if ctx.share.counts else own * 0.0, None, None


class _Copied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, peers: Peers, *weights: Tensor | None) -> tuple[Tensor | None, ...]:
        ctx.peers = peers
        ctx.set_materialize_grads(False)  # a weight without a gradient has none on one device, either
        return tuple(None if weight is None else weight.detach() for weight in weights)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        return None, *cast(tuple[Tensor | None, ...], _Summed.apply(ctx.peers, *gradients))


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, peers: Peers, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        ctx.peers = peers
        ctx.set_materialize_grads(False)
        return tuple(summed(gradients, peers))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        return None, *cast(tuple[Tensor | None, ...], _Copied.apply(ctx.peers, *gradients))


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, peers: Peers) -> Tensor:
        ctx.peers = peers
        return peers.total(own)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return cast(Tensor, _Total.apply(gradient, ctx.peers)), None


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


def total(own: Tensor, peers: Peers) -> Tensor:
    """The sum over the processes, for values of a share's rows; so is its gradient."""
    return cast(Tensor, _Total.apply(own, peers))


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
