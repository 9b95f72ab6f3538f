"""One random corner of the ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from harness.plugin.attack import Attack, AttackKind, Passes
from harness.plugin.threat import Threat


@dataclass(frozen=True, kw_only=True)
class Corner(Attack):
    """One random corner of the ball, without a look at the network."""

    kind: ClassVar[AttackKind] = "random"
    budget: ClassVar[tuple[str, ...]] = ("epsilon",)

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        sign = torch.rand(x.shape, generator=generator, device=x.device).round() * 2 - 1
        return (x + threat.epsilon * sign).clamp(0, 1)

    def passes(self, threat: Threat) -> Passes:
        return Passes()
