"""Small networks and images for what FAB found: with the findings of a process, and by the package alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import pyautoattack
import torch
from torch import Tensor, nn

from harness.attacks._fab_findings import Findings
from tests.attacks.package import Apart
from tests.tiny import draws

SHAPE, CLASSES, N = (1, 6, 6), 5, 40


class Settable(Apart):
    """Its attributes are no tensors, and change what it computes.

    Attributes:
        border: with so many images or more in the batch, the last bits are others.
        most: a larger pixel counts as that.
    """

    skew, border, most = 0.0, 0, float("inf")

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x.clamp(max=self.most)) + self.skew * torch.arange(CLASSES)
        return logits * (1 + 1e-6) if len(x) < self.border else logits


def fab_of(model: nn.Module, *, epsilon: float = 0.04, iterations: int = 4) -> Any:
    fab = pyautoattack.AutoAttack(model, norm="Linf", eps=epsilon, seed=0).fab
    fab.targeted, fab.n_iter, fab.n_target_classes = True, iterations, CLASSES - 1
    return fab


def at_hand() -> tuple[Settable, Tensor, Tensor]:
    """A network, images, and the labels that it gives them."""
    model = Settable(SHAPE, CLASSES, 1)
    x = torch.rand(N, *SHAPE, generator=draws(1))
    return model, x, model(x).argmax(1)


def attacked(found: Findings, model: Settable, x: Tensor, y: Tensor, **settings: Any) -> tuple[Tensor, int]:
    """The images, and how many images went through the network."""
    fab, before = fab_of(model, **settings), model.images
    fab.attack_single_run = partial(found.run, fab.attack_single_run, fab)
    return fab.perturb(x, y), model.images - before


def anew(model: Settable, x: Tensor, y: Tensor, **settings: Any) -> Tensor:
    """The package's own images."""
    images: Tensor = fab_of(model, **settings).perturb(x, y)
    return images
