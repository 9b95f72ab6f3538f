"""The fast gradient sign method: one step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from harness.plugin.adversary import CrossEntropy, ascend
from harness.plugin.attack import Attack, AttackKind, Passes
from harness.plugin.threat import Threat


@dataclass(frozen=True, kw_only=True)
class FGSM(Attack):
    """One step of length epsilon from the image itself (Goodfellow et al., ICLR 2015, arXiv:1412.6572).

    A baseline, not an evaluation: if it breaks more examples than PGD, the gradients mislead PGD.
    Departs: the result is clipped to [0, 1]; in another ball than L-infinity it takes that ball's own step.
    """

    kind: ClassVar[AttackKind] = "single-step"
    budget: ClassVar[tuple[str, ...]] = ("epsilon", "norm")
    seeded: ClassVar[bool] = False

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        one_step = replace(threat, steps=1, step_size=threat.epsilon, start="none")
        return ascend(model, x, y, [CrossEntropy()], one_step, generator)[0].x

    def passes(self, threat: Threat) -> Passes:
        return Passes(1, 1)
