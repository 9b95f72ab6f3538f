"""Images and networks that the tests of the fast path share."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.fast.folded import Folded
from harness.plugin.network import Network, Shape
from harness.registry.catalogue import discover
from harness.training.loop import initial_model
from tests.slim import slim

SHAPE = Shape(3, 32, 32, 10)


def images(shape: Shape = SHAPE, count: int = 4, seed: int = 0) -> Tensor:
    return torch.rand(count, *shape[:3], generator=torch.Generator().manual_seed(seed))


def settled(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with running statistics and scales that are not those of the start."""
    draws = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.copy_(torch.randn(module.num_features, generator=draws) / 10)
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=draws))
            with torch.no_grad():
                module.weight.copy_(0.5 + torch.rand(module.num_features, generator=draws))
                module.bias.copy_(torch.randn(module.num_features, generator=draws) / 10)
    return model.eval()


class Net(nn.Module):
    """A convolution, a batch-norm, and something that a subclass does with them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.linear = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 10)
        self.count: Tensor
        self.register_buffer("count", torch.zeros(()))
        self.calls, self.seen = 0, list[int]()

    def features(self, x: Tensor) -> Tensor:
        features: Tensor = self.norm(self.conv(x))
        return features

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(F.relu(self.features(x)).mean((2, 3)))
        return logits


class OneMemory(nn.Module):
    """A network that writes all its logits into the same memory, as a recorded graph does."""

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.own, self.memory = own, torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.own(x)
        with torch.no_grad():
            self.memory = self.memory if len(self.memory) else torch.empty_like(logits)
            self.memory.copy_(logits)
            logits.data = self.memory
        return logits


def built(label: str) -> nn.Module:
    """A network that is registered, such as ``wrn activation=silu``, as a training begins with it; see ``slim``."""
    name, *settings = label.split()
    values = dict(setting.split("=") for setting in settings)
    return initial_model(slim(cast(Network, discover("networks").get(name).from_mapping(values))), SHAPE, 0)


def logits_and_gradient(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    leaf = x.clone().requires_grad_()
    logits = model(leaf)
    (gradient,) = torch.autograd.grad(logits.logsumexp(1).sum(), leaf)
    return logits.detach(), gradient


def both(model: nn.Module, x: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Logits and gradient by the model's own layers, and by the faster ones, which fit."""
    folded = Folded(model, x)
    assert folded.fits(x)
    own = logits_and_gradient(model, x)
    with folded.put_in():
        return own, logits_and_gradient(model, x)
