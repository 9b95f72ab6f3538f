"""What a training method is: a frozen dataclass of hyper-parameters and a loss that reads like its paper.

A method gives a loss; the engine owns the device, the optimiser, checkpoints, records, and seeds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import Tensor, nn

from harness.adversary import Objective, Variant, ascend
from harness.settings import Plugin
from harness.threat import Threat

Log = Callable[[str, Tensor], None]


@dataclass(frozen=True)
class Step:
    """One batch of the training, as a method sees it.

    Attributes:
        x: ``(batch, channels, height, width)`` clean, augmented images in [0, 1].
        y: ``(batch,)`` int64 labels.
        model: the network, in training mode; each call is one forward pass with batch statistics of its own.
        threat: the training budget.
        progress: the fraction of the whole training done, in [0, 1), for burn-ins.
        generator: the run's own generator of this epoch, on the device.
        log: ``log(name, value)`` adds a scalar tensor to the epoch's record, as a mean over batches; it is kept on the
            device until the epoch's end, so that logging waits for nothing.
    """

    x: Tensor
    y: Tensor
    model: nn.Module
    threat: Threat
    progress: float
    generator: torch.Generator
    log: Log

    @overload
    def perturb(self, objective: Objective, /) -> Variant: ...
    @overload
    def perturb(self, first: Objective, second: Objective, /, *more: Objective) -> tuple[Variant, ...]: ...
    def perturb(self, *objectives: Objective) -> Variant | tuple[Variant, ...]:
        """Craft one variant for each objective under the training budget, in evaluation mode."""
        variants = self.perturb_all(*objectives)
        return variants[0] if len(variants) == 1 else variants

    def perturb_all(self, *objectives: Objective) -> tuple[Variant, ...]:
        """``perturb`` for a number of objectives that the caller does not know: always a tuple."""
        return ascend(self.model, self.x, self.y, objectives, self.threat, self.generator)


@dataclass(frozen=True, kw_only=True)
class Method(Plugin, ABC):
    """Base of training methods. Subclass it as a frozen, keyword-only dataclass and write ``loss``."""

    @abstractmethod
    def loss(self, step: Step) -> Tensor:
        """The scalar that the update descends, on this batch."""

    def state_dict(self) -> dict[str, Any]:
        """What else the method must keep in a resumable checkpoint (tensors, numbers, texts). Nothing by default."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave."""
