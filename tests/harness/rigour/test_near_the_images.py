"""A network that fails near the images alone, where attacks go and no clean pass does, is flagged for what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.plugin.threat import Threat
from harness.rigour.check import Outcome
from harness.rigour.outputs import not_logits, zero_gradient
from harness.rigour.subject import Subject
from harness.runtime.device import arithmetic
from harness.runtime.isolation import isolated
from tests.broken_models import Around
from tests.tiny import draws

N, CLASSES = 60, 5
CPU = torch.device("cpu")
THREAT = Threat(epsilon=0.02, steps=5, step_size=0.008, start="uniform")


def off_data(x: Tensor) -> Tensor:
    """``(n, 1)`` bool: whose pixels are no sixteenths."""
    return ((x * 16) != (x * 16).round()).flatten(1).any(1, keepdim=True)


class NoNumber(torch.autograd.Function):
    """The image, and a gradient that is NaN off the data."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.off = off_data(x)[:, :, None, None]
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return gradient.where(~context.off, torch.nan)


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.randn(CLASSES, 108, generator=draws(2))

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) - 0.5) @ self.weight.T


def looked_at(
    change: Callable[[nn.Module, Tensor], Tensor], check: Callable[[Subject], Outcome], threat: Threat = THREAT
) -> Outcome:
    x = (torch.rand(N, 3, 6, 6, generator=draws(1)) * 16).round() / 16
    y = Linear()(x).argmax(1)
    model = Around(Linear(), change)
    with arithmetic(CPU, "float32"), isolated(model, CPU, 0) as isolation:
        return check(Subject(model.eval(), x, y, threat, 0, 25, isolation))


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_outputs_that_are_not_finite_near_the_images_are_no_logits(value: float) -> None:
    found = looked_at(lambda net, x: net(x).where(~off_data(x), value), not_logits)
    assert (found.status, found.value) == ("flagged", 1.0)
    assert found.reason.startswith("0.0 % of the images have outputs that are not finite, 100.0 % under PGD: ")


@pytest.mark.parametrize(
    "change",
    [
        lambda net, x: net(NoNumber.apply(x)),
        lambda net, x: net(x).detach().where(off_data(x), net(x)),
        lambda net, x: net((x * 16).round() / 16).where(off_data(x), net(x)),
    ],
    ids=["no number", "cut off", "rounded"],
)
def test_gradients_that_are_lost_near_the_images_are_told(change: Callable[[nn.Module, Tensor], Tensor]) -> None:
    found = looked_at(change, zero_gradient)
    assert found.status == "flagged"
    assert found.details["attacked"] > 0.9  # a draw or two from the ball are wrong before the first step
    assert found.reason.startswith("no gradient on 0.0 % (cross-entropy), 0.0 % (margin) of 60 images")
    assert found.reason.endswith("near the images gradients are masked, or no numbers, so that PGD goes astray")


@pytest.mark.parametrize("check", [not_logits, zero_gradient])
def test_a_sound_network_is_flagged_neither_near_the_images_nor_beyond(check: Callable[[Subject], Outcome]) -> None:
    for epsilon in (0.0, 0.02, 0.2):
        threat = Threat(epsilon=epsilon, steps=5, step_size=epsilon / 4, start="uniform")
        found = looked_at(lambda net, x: net(x), check, threat)
        assert (found.status, found.value) == ("passed", 0.0)
