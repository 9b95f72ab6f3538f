"""Linear networks that keep something outside their weights, and others that only seem to."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import torch
from torch import Tensor, nn

from harness.plugin.network import Shape


class Base(nn.Module):
    """A linear layer, and something that subclasses do before and after it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layer = nn.Linear(shape.channels * shape.height * shape.width, shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layer(x.flatten(1))
        return logits


class Counts(Base):
    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.n = 1

    def forward(self, x: Tensor) -> Tensor:
        self.n += self.training
        return super().forward(x) * self.n


class CountsAlways(Counts):
    def forward(self, x: Tensor) -> Tensor:
        self.n += 1
        return super().forward(x)


class CountsInAList(Base):
    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.n = [1]

    def forward(self, x: Tensor) -> Tensor:
        self.n[0] += self.training
        return super().forward(x) * self.n[0]


class Averages(Base):
    mean: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.hold("mean", torch.zeros(()))

    def hold(self, name: str, value: Tensor) -> None:
        setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean()
        return super().forward(x - self.mean)


class AveragesInABuffer(Averages):
    def hold(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)


class AveragesInASavedBuffer(Averages):
    def hold(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value)


class GrowsABuffer(Base):
    def forward(self, x: Tensor) -> Tensor:
        if self.training and not hasattr(self, "mean"):
            self.register_buffer("mean", x.mean(0))
        return super().forward(x)


class CountsElsewhere(Base):
    """Numbers of a kind that nothing puts back, counted by every pass."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.count = itertools.count(1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * next(self.count)


class CountsForAll(Base):
    """All networks of the process count together."""

    n = 1

    def forward(self, x: Tensor) -> Tensor:
        type(self).n += self.training
        return super().forward(x) * self.n


class Caches(Base):
    """Keeps features with their graph, and builds a table at its first pass: no copy can be made of it."""

    table: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.table is None:
            self.table = torch.linspace(0.5, 1.0, x[0].numel())
        self.features = super().forward(x.flatten(1) * self.table)
        return self.features


class DrawsFromItsOwn(Base):
    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.draws = torch.Generator().manual_seed(0)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + 0.5 * torch.randn(x.shape, generator=self.draws))


class Unseeded(Base):
    """Weights and draws that no seed decides, against the contract: no reason to say that its weights are not all."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.draws = np.random.default_rng()
        nn.init.constant_(self.layer.bias, self.draws.random())

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + self.draws.random())


class DrawsFromGlobals(Base):
    def forward(self, x: Tensor) -> Tensor:
        noise = random.random() + float(np.random.rand()) + torch.rand(x.shape)
        return super().forward(nn.functional.dropout(x, 0.3) + noise)


class NotANumber(Base):
    """As a training that has diverged leaves it, in evaluation mode."""

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return logits if self.training else logits * torch.tensor([math.nan, math.inf, 1.0, -math.inf])


class Normed(Base):
    """Weight norm, of both kinds, and spectral norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.a = nn.utils.parametrizations.weight_norm(nn.Linear(64, 64))
        self.b = nn.utils.parametrizations.spectral_norm(nn.Linear(64, 64))
        self.tied = nn.Linear(64, 64)
        self.tied.bias = self.a.bias

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + self.tied(self.b(self.a(x.flatten(1)).relu())).view_as(x))


class CountsInTraining(Base):
    """What it counts plays a part in training mode alone, as a schedule of dropout does."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.n = 1

    def forward(self, x: Tensor) -> Tensor:
        self.n += 1  # in every pass: one more would make another training
        return super().forward(x) * self.n if self.training else super().forward(x)


LOST = (Counts, CountsAlways, CountsInAList, Averages, AveragesInABuffer, CountsElsewhere, CountsForAll)
KEPT = (Base, AveragesInASavedBuffer, Caches, DrawsFromItsOwn, DrawsFromGlobals, NotANumber, Normed, CountsInTraining)
