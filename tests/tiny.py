"""Tiny networks, batches, and budgets that the tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from harness.plugin.method import Step
from harness.plugin.threat import Threat

PROTOCOL_DOCUMENT: dict[str, Any] = {
    "epsilon": 0.2,
    "evaluation": {"steps": 20, "relative_step": 0.25, "start": "uniform", "block_size": 100},
}
"""What the store keeps of a protocol, as far as a leaderboard reads it."""


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_tiny_model(seed: int = 0, classes: int = 5, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """A convolution, a batch-norm with running statistics of its own, a linear layer; 3x6x6 images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, stride=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * 9, classes),
        )
        norm = model[1]
        assert isinstance(norm, nn.BatchNorm2d)
        norm.running_mean = torch.randn(8) * 0.1
        norm.running_var = torch.rand(8) + 0.5
    return model.to(dtype=dtype)


def make_batch(n: int = 12, seed: int = 0, classes: int = 5) -> tuple[Tensor, Tensor]:
    generator = draws(seed)
    return torch.rand(n, 3, 6, 6, generator=generator), torch.randint(classes, (n,), generator=generator)


def make_threat(epsilon: float = 0.1, steps: int = 5, step_size: float = 0.03, start: str = "uniform") -> Threat:
    return Threat.from_mapping({"epsilon": epsilon, "steps": steps, "step_size": step_size, "start": start})


def make_step(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    threat: Threat | None = None,
    progress: float = 0.99,
    seed: int = 0,
    log: Callable[[str, Tensor], None] = lambda _name, _value: None,
) -> Step:
    model.train()
    return Step(x, y, model, threat or make_threat(), progress, draws(seed), log)
