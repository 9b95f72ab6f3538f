"""The contract of a wrapper of the update. An option (``--wrap awp``) puts it around any method."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from harness.plugin.method import Step
from harness.plugin.settings import Plugin
from harness.plugin.state import Stateful

Loss = Callable[[Step], Tensor]
Backward = Callable[[Step, Loss], Tensor]


@dataclass(frozen=True, kw_only=True)
class Wrapper(Plugin, Stateful, ABC):
    """Base of wrappers. Subclass it as a frozen, keyword-only dataclass and override the methods that it changes.

    In each update ``adapt`` may change the step, ``backward`` leaves gradients in the parameters, the optimiser steps,
    then ``after`` sees the model. Several wrappers nest in the order of the options; the last one is outermost.
    """

    publishes_its_own: ClassVar[bool] = False
    """Whether ``published`` takes nothing from the weights that it gets: a second such wrapper would undo the first."""

    def adapt(self, step: Step) -> Step:
        """The step that the method and every ``backward`` get in place of this one; called once an update, first."""
        return step

    def backward(self, step: Step, loss: Loss, inner: Backward) -> Tensor:
        """Leave the gradient of the loss in the parameters by calling ``inner``; return the loss, detached."""
        return inner(step, loss)

    def after(self, model: nn.Module) -> None:
        """Called with the model after each update."""

    def published(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state dict that is saved in checkpoints, and attacked, instead of the model's own."""
        return weights
