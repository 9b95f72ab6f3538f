"""What a wrapper of the update is: it composes with any method, by option (``--wrap awp``)."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from harness.plugin.method import Step
from harness.plugin.settings import Plugin
from harness.plugin.state import Stateful

Loss = Callable[[Step], Tensor]
Backward = Callable[[Step, Loss], Tensor]


@dataclass(frozen=True, kw_only=True)
class Wrapper(Plugin, Stateful, ABC):
    """Base of wrappers. Subclass it as a frozen, keyword-only dataclass and override what it changes.

    Each update is: ``backward`` leaves gradients in the parameters, the optimiser steps, ``after`` looks at the result.
    Several wrappers nest in the order they are given, the last outermost.
    """

    def backward(self, step: Step, loss: Loss, inner: Backward) -> Tensor:
        """Leave the gradient of the loss in the parameters, by calling ``inner``; give the loss, detached."""
        return inner(step, loss)

    def after(self, model: nn.Module) -> None:
        """Look at the model after an update."""

    def published(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state dict that checkpoints keep, and attacks meet, instead of the model's own."""
        return weights
