"""Models around which harness puts a user's preprocessing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.plugin.network import Shape
from harness.targets.prepared import Prepared
from harness.targets.preprocessing import Preprocessing
from tests.tiny import draws

TWO = Shape(1, 8, 8, 2)
WEIGHTS = torch.randn(10, 64, generator=draws(3)) / 8


class Linear(nn.Module):
    """A linear classifier; its robust accuracy in the L-infinity ball is known in closed form."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(WEIGHTS.clone())

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T


def prepared(network: nn.Module, **settings: object) -> Prepared:
    return Prepared(network, Preprocessing.from_mapping(settings)).eval().requires_grad_(False)


def gradient(model: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(F.cross_entropy(model(x), torch.arange(len(x)) % 2), x)
    return found


class Change(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.net = network
