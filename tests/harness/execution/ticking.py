"""A clock that only a network's passes move, and the network that moves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from harness.plugin.network import Network, Shape

FORWARD_S, BACKWARD_S = 0.001, 0.002  # of one image


class Ticks:
    """The seconds, and the images that went forward and backward."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.seconds, self.forward, self.backward = 0.0, 0, 0

    def __call__(self) -> float:
        return self.seconds

    def hear(self, _model: nn.Module, _inputs: object, logits: Tensor) -> None:
        self.forward += len(logits)
        self.seconds += FORWARD_S * len(logits)
        if logits.requires_grad:
            logits.register_hook(self._heard_backward)  # type: ignore[no-untyped-call]

    def _heard_backward(self, gradient: Tensor) -> None:
        self.backward += len(gradient)
        self.seconds += BACKWARD_S * len(gradient)


TICKS = Ticks()


@dataclass(frozen=True, kw_only=True)
class Ticking(Network):
    """A linear layer whose every pass moves the clock."""

    name: ClassVar[str] = "ticking"

    def build(self, shape: Shape) -> nn.Module:
        model = nn.Sequential(nn.Flatten(), nn.Linear(shape.channels * shape.height * shape.width, shape.classes))
        model.register_forward_hook(TICKS.hear)
        return model
