"""Live models that the tests evaluate, in a file of their own so that they have a source."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Scaled(nn.Module):
    """A linear model with a plain number, a buffer, and a dropout."""

    seen: Tensor

    def __init__(self, scale: float = 2.0, classes: int = 10, features: int = 64) -> None:
        super().__init__()
        self.scale = scale
        self.linear = nn.Linear(features, classes)
        self.register_buffer("seen", torch.zeros(1))
        self.dropout = nn.Dropout()

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen = self.seen + 1
        logits: Tensor = self.scale * self.dropout(self.linear(x.flatten(1)))
        return logits


class Breaks(nn.Module):
    """It raises once the images are no test images any more."""

    def __init__(self, clean: Tensor) -> None:
        super().__init__()
        self.clean = nn.Buffer(clean)
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        near = (x[:, None] - self.clean[None]).abs().amax((2, 3, 4)).amin(1)
        if bool(((near > 0.05) & (near < 0.3)).any()):
            raise ValueError("an unusual image")
        logits: Tensor = self.linear(x.flatten(1))
        return logits


def make_scaled(seed: int = 0, **settings: float) -> Scaled:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Scaled(**settings)  # type: ignore[arg-type]  # numbers


def make() -> Scaled:
    return make_scaled().eval()
