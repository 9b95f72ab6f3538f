"""Batch-norm in training mode whose statistics are those of the whole batch, of which each process has a share."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from harness.training.together.exchange import total
from harness.training.together.peers import Peers
from harness.training.together.shares import Share, sizes


class _Normalised(torch.autograd.Function):
    """Gives the normalised values, and the whole batch's mean and biased variance."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, added: float, share: Share, peers: Peers
    ) -> tuple[Tensor, Tensor, Tensor]:
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        others = [dim for dim in range(x.dim()) if dim != 1]
        mean, variance = _of_the_whole(values, others, share, peers)
        inverse = (variance + added).rsqrt()
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.share, ctx.peers, ctx.others, ctx.biased, ctx.added = share, peers, others, bias is not None, added
        normalised = (values - _along(mean, x)) * _along(inverse, x)
        if weight is not None:
            normalised = normalised * _along(weight, x)
        if bias is not None:
            normalised = normalised + _along(bias, x)
        ctx.mark_non_differentiable(mean, variance)
        return normalised.to(x.dtype), mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, inverse = ctx.saved_tensors
        share, peers = ctx.share, ctx.peers
        if torch.is_grad_enabled():  # the gradient has a gradient, and the statistics are a part of it
            mean, inverse = _statistics(x.to(mean.dtype), ctx.others, ctx.added, share, peers)
        normalised = (x.to(mean.dtype) - _along(mean, x)) * _along(inverse, x)
        upper = gradient.to(mean.dtype)
        own = torch.stack([upper.sum(ctx.others), (upper * normalised).sum(ctx.others)]) * float(share.counts)
        scale = inverse if weight is None else inverse * weight
        inner, elements = upper, _elements(x, share) * share.whole
        if torch.is_grad_enabled():  # a stand-in counts by a factor of 0, so that its process takes part in every total
            both = total(own, peers) / elements * float(share.counts)
        else:
            both = torch.stack(peers.gathered(own)).sum(0) / elements
        if share.counts or torch.is_grad_enabled():  # a stand-in is no part of the statistics
            inner = upper - _along(both[0], x) - normalised * _along(both[1], x)
        of_weight = own[1].to(weight.dtype) if weight is not None else None
        of_bias = own[0].to(mean.dtype) if ctx.biased else None
        return (inner * _along(scale, x)).to(x.dtype), of_weight, of_bias, None, None, None


def whole_batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    momentum: float,
    added: float,
    share: Share,
    peers: Peers,
) -> Tensor:
    """``torch.nn.functional.batch_norm`` in training mode, on a share; running statistics are the whole batch's.

    Args:
        added: to the variance, before its root is taken.
    Raises:
        ValueError: the whole batch has one value for each channel, as torch says it.
    """
    elements = _elements(x, share) * share.whole
    if elements == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(x.shape)}")
    found = cast(tuple[Tensor, Tensor, Tensor], _Normalised.apply(x, weight, bias, added, share, peers))
    normalised, mean, variance = found
    with torch.no_grad():  # in ``data``, whose writes autograd does not count, as it does not count torch's own here
        if running_mean is not None:
            running_mean.data.mul_(1 - momentum).add_(mean.to(running_mean.dtype), alpha=momentum)
        if running_var is not None:
            unbiased = variance * (elements / (elements - 1))
            running_var.data.mul_(1 - momentum).add_(unbiased.to(running_var.dtype), alpha=momentum)
    return normalised


def _statistics(values: Tensor, others: list[int], added: float, share: Share, peers: Peers) -> tuple[Tensor, Tensor]:
    """Mean, and the root's reciprocal of the variance, over all processes, with every gradient."""
    elements, counts = _elements(values, share) * share.whole, float(share.counts)
    mean = total(values.sum(others) * counts, peers) / elements
    squares = (values - _along(mean, values)).square().sum(others)
    return mean, (total(squares * counts, peers) / elements + added).rsqrt()


def _elements(x: Tensor, share: Share) -> int:
    """How many values of each channel a row of the batch has."""
    return x.numel() // x.shape[1] // share.rows


def _along(values: Tensor, x: Tensor) -> Tensor:
    """Values of the channels, in a shape that fits ``(batch, channels, ...)``."""
    return values.view(1, -1, *(1,) * (x.dim() - 2))


def _of_the_whole(values: Tensor, others: list[int], share: Share, peers: Peers) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel over all processes, by each one's mean and squared deviations.

    Source: Chan, Golub & LeVeque 1979, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances".
    """
    mean = values.mean(others)
    squares = (values - _along(mean, values)).square().sum(others)
    means, squared = torch.stack(peers.gathered(torch.stack([mean, squares]))).double().unbind(1)
    rows = torch.tensor(sizes(share.whole, peers.count), dtype=torch.float64, device=values.device)[:, None]
    mine = (rows > 0).double()
    mean_of_all = (means * rows).sum(0) / share.whole
    weights = rows * _elements(values, share)
    variance = ((squared * mine) + weights * (means - mean_of_all).square()).sum(0) / weights.sum()
    return mean_of_all.to(values.dtype), variance.to(values.dtype)
