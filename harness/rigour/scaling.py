"""What an attack ascends at another scale of the logits."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.plugin.adversary import Objective

_LEAST = 1e-30  # the least spread: a smaller one would make the factor infinite


class ScaledOdds(Objective):
    """The log-odds against the true class, log((1 - p_y) / p_y), of each image's logits times a positive number.

    The number makes the *spread* of the image's clean logits, the highest minus the median, what is asked for. So
    a network and a multiple of it give the same objective. The median, unlike the mean, ignores a class that is
    masked with -1e9. The number does not depend on the perturbed image, so it has no gradient.

    The cross-entropy is softplus(log-odds), so both have one direction of steepest ascent. But where p_y rounds to 1
    in float32, the cross-entropy loses a part of its gradient, and then all of it; the log-odds never do.
    Source: Hitaj et al. 2021, arXiv:2103.01914, who multiply all logits by one number. One number for each image, and
        the log-odds, are this project's.

    Args:
        clean: ``(batch, classes)`` logits of the clean images, in the order of the batch; two classes or more.
    """

    def __init__(self, clean: Tensor, spread: float) -> None:
        clean = clean.float()  # float16 holds no factor above 65504
        own = clean.amax(1) - clean.median(1).values
        self.factors = (spread / own.clamp(min=_LEAST))[:, None]

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        scaled, true = self.factors * logits, y[:, None]
        return scaled.scatter(1, true, -torch.inf).logsumexp(1) - scaled.gather(1, true).squeeze(1)
