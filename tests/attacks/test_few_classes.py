"""Two and three classes: each attack that takes so few against the exact robust accuracy of a linear network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.evaluator import evaluate
from harness.registry.catalogue import discover
from tests.tiny import draws, make_threat

EPSILON = 0.05


class Linear(nn.Module):
    """A linear network whose boundaries meet at grey, in the middle of the images."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weight = torch.randn(classes, 16, generator=draws(classes))
        self.bias = -self.weight.sum(1) / 2

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T + self.bias


def exactly_robust(net: Linear, x: Tensor, y: Tensor) -> Tensor:
    """``(n,)`` bool: no corner of the box around an image is misclassified, class against class."""
    low, high = (x.flatten(1) - EPSILON).clamp(min=0), (x.flatten(1) + EPSILON).clamp(max=1)
    robust = torch.ones(len(y), dtype=torch.bool)
    for other in range(len(net.weight)):
        direction = net.weight[y] - net.weight[other]
        worst = (direction * torch.where(direction > 0, low, high)).sum(1) + net.bias[y] - net.bias[other]
        robust &= (worst > 0) | (y == other)
    return robust


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    ("name", "missed"),
    [("pgd", 3), ("cw", 3), ("apgd-ce", 1), ("fab-t", 1), ("square", 13)],  # Square's squares spare the last row
)
def test_attacks_on_few_classes_reach_the_exact_figure(name: str, missed: int, classes: int) -> None:
    net = Linear(classes).eval()
    x = torch.rand(60, 1, 4, 4, generator=draws(7))
    y = net(x).argmax(1)
    exact = exactly_robust(net, x, y)
    assert 10 < int(exact.sum()) < 50
    attack: Any = discover("attacks").get(name)()
    assert attack.fewest_classes <= classes
    threat = make_threat(epsilon=EPSILON, steps=20, step_size=EPSILON / 4)
    verdicts = evaluate(net, attack, x, y, threat, draws())
    assert not bool((exact & ~verdicts.correct).any())  # what is robust cannot be broken
    assert int((verdicts.correct & ~exact).sum()) <= missed
    assert verdicts.warnings == ()
