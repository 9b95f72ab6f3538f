"""The optimiser of a training, as its protocol says: SGD, with what changes from update to update."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from harness.protocols.train_protocol import TrainProtocol
from harness.training.schedule import learning_rate, momentum


def make_optimiser(parameters: Iterable[nn.Parameter], protocol: TrainProtocol) -> torch.optim.SGD:
    """SGD over every parameter of the networks that are trained."""
    return torch.optim.SGD(
        parameters,
        lr=protocol.lr,
        momentum=protocol.momentum,
        weight_decay=protocol.weight_decay,
        nesterov=protocol.nesterov,
    )


def set_rates(optimiser: torch.optim.Optimizer, protocol: TrainProtocol, epoch: int, share: float) -> None:
    """Give the optimiser the learning rate and the momentum of the update that ends this share of the epoch."""
    for group in optimiser.param_groups:
        group["lr"], group["momentum"] = learning_rate(protocol, epoch, share), momentum(protocol, epoch)


def clip(model: nn.Module, protocol: TrainProtocol) -> None:
    """Scale the update's gradient down to ``clip_norm``, if it is longer, as torch does; the CPU does not wait for it.

    Every process of a network that several train has the gradient of the whole batch, so that all scale alike.
    """
    if protocol.clip_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), protocol.clip_norm)
