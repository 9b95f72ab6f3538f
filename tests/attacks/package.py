"""The authors' package at a hundredth of its time, networks for it, and its plain calls."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pyautoattack
import torch
from torch import Tensor, nn

from harness.evaluator import evaluate
from harness.registry.catalogue import discover
from harness.runtime.seeds import generator
from tests.tiny import draws, make_threat

CPU = torch.device("cpu")
EPSILON = 0.08
STANDARD: Callable[..., None] = pyautoattack.AutoAttack._set_version


def short(self: Any, version: str = "standard") -> None:
    """In place of the package's ``_set_version``: 5 iterations and 20 queries, by its own code."""
    STANDARD(self, version)
    for attack in (self.apgd, self.apgd_targeted, self.fab):
        attack.n_iter = 5
    self.square.n_queries = 20


class Net(nn.Module):
    """A fixed random network of ten classes, labelled by itself, so that every example starts right."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return logits


class Apart(nn.Module):
    """A fixed random network that takes each image by itself, so that no last bit depends on the other images."""

    def __init__(self, shape: tuple[int, ...], classes: int, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            features = 8 * (shape[1] // 2) * (shape[2] // 2)
            convolution = nn.Conv2d(shape[0], 8, 3, padding=1)
            layers = (convolution, nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten())
            self.net = nn.Sequential(*layers, nn.Linear(features, classes)).eval().requires_grad_(False)
        self._batches: list[int] = []

    @property
    def images(self) -> int:
        """How many went through it."""
        return sum(self._batches)

    def forward(self, x: Tensor) -> Tensor:
        self._batches.append(len(x))
        return torch.cat([self.net(image[None]) for image in x])


def block(model: nn.Module, n: int = 24) -> tuple[Tensor, Tensor]:
    x = torch.rand(n, 3, 4, 4, generator=draws(1))
    return x, model(x).argmax(1)


def plain(
    model: nn.Module, x: Tensor, y: Tensor, draws: torch.Generator, epsilon: float = EPSILON, norm: str = "Linf"
) -> Any:
    """The package as a user calls it: one standard AutoAttack object, with the seed that the generator gives."""
    seed = int(torch.randint(2**31 - 1, (), generator=draws))
    torch.manual_seed(seed)
    return pyautoattack.AutoAttack(model, norm=norm, eps=epsilon, seed=seed)


def verdicts(start: int, length: int, seed: int = 0, attack: str = "autoattack") -> list[bool]:
    """Verdicts of one block of images, as a work item gets them."""
    model = Net().eval().requires_grad_(False)
    x, y = (tensor[start : start + length] for tensor in block(model))
    made: Any = discover("attacks").get(attack)()
    draws = generator(CPU, seed, "evaluation", attack, start)
    correct: list[bool] = evaluate(model, made, x, y, make_threat(epsilon=EPSILON), draws).correct.tolist()
    return correct


if __name__ == "__main__":  # python -m tests.attacks.package autoattack 16: one block, in a process of its own
    pyautoattack.AutoAttack._set_version = short
    print(json.dumps(verdicts(int(sys.argv[2]), 8, attack=sys.argv[1])))
