"""Soft labels that another network gives: an objective of crafting, and the divergence of a student from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.plugin.adversary import Objective, kl_divergence


@dataclass(frozen=True)
class FromSoftLabels(Objective):
    """KL(q || p(x_adv)), the divergence from labels that stay as they are while the images move.

    Attributes:
        logits: ``(batch, classes)``, without gradient; q is their softmax.
    """

    logits: Tensor

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        return distilled(self.logits, logits)


def answers(network: nn.Module, x: Tensor) -> Tensor:
    """The logits of a network that was trained before, without gradient."""
    with torch.no_grad():
        logits: Tensor = network(x)
    return logits


def at_least_float32(logits: Tensor) -> Tensor:
    """The logits as they are, or as float32 if a training of lower precision gives fewer digits: for differences."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def distilled(taught: Tensor, logits: Tensor, temperature: float = 1.0) -> Tensor:
    """``(batch,)`` t^2 KL(softmax(taught / t) || softmax(logits / t)) (Hinton et al. 2015, arXiv:1503.02531).

    The factor t^2 keeps the gradient's size about the same for every temperature t. It also multiplies rounding, so
    that log-probabilities of bfloat16 would leave nothing of the divergence.
    """
    taught, logits = at_least_float32(taught), at_least_float32(logits)
    return temperature**2 * kl_divergence(taught / temperature, logits / temperature)
