"""No attack: the accuracy on clean images, evaluated like an attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from harness.plugin.attack import Attack, AttackKind, Passes
from harness.plugin.threat import Threat


@dataclass(frozen=True, kw_only=True)
class Natural(Attack):
    """The images as they are: natural accuracy (section 5.2 of the LRAT paper)."""

    kind: ClassVar[AttackKind] = "clean"
    budget: ClassVar[tuple[str, ...]] = ()
    seeded: ClassVar[bool] = False
    fewest_classes: ClassVar[int] = 1

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        return x

    def passes(self, threat: Threat) -> Passes:
        return Passes(0, 0)
