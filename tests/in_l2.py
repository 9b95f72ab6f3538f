"""A threat in the L2 ball, and a model and images for which its worst case is known in closed form."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from harness.plugin.threat import Threat
from tests.tiny import draws


def l2_threat(epsilon: float = 0.4, steps: int = 20, start: Any = "uniform") -> Threat:
    return Threat(epsilon=epsilon, steps=steps, step_size=epsilon / 4, start=start, norm="L2")


class Linear(nn.Module):
    """Two classes, Z_0 - Z_1 = w . x: its optimum and its robust accuracy are known in closed form."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(12, generator=draws(5)))

    def forward(self, x: Tensor) -> Tensor:
        self.score = (x.flatten(1) - 0.5) @ self.w
        return torch.stack([self.score / 2, -self.score / 2], 1)


def centred(n: int = 200) -> Tensor:
    """Images so far inside [0, 1] that a ball of 0.2 is never clipped."""
    return 0.3 + 0.4 * torch.rand(n, 3, 2, 2, generator=draws(6))
