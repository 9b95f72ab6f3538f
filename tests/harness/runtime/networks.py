"""A network that does something in its passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Net(nn.Module):
    """Two logits by the mean pixel, after something was done; keeps what it draws."""

    def __init__(self, act: Callable[[], object] = lambda: None, backward: Callable[[], object] | None = None) -> None:
        super().__init__()
        self.act, self.backward = act, backward
        self.seen: list[object] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(self.act())
        if self.backward is not None:
            x = InBackward.apply(x, self.backward)
        score = x.flatten(1).mean(1) - 0.5
        return torch.stack([-score, score], 1)


class InBackward(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, act: Callable[[], object]) -> Tensor:
        context.act = act
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        context.act()
        return gradients[0], None
