"""Random noise, a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Interval
from torch import Tensor, nn
from typing_extensions import Doc

from harness.plugin.adversary import CrossEntropy, worst_of
from harness.plugin.attack import Attack, AttackKind, Passes
from harness.plugin.threat import Threat


@dataclass(frozen=True, kw_only=True)
class Noise(Attack):
    """Uniform noise in the ball: the worst of some draws (a sanity check of Carlini et al. 2019, arXiv:1902.06705).

    A baseline, not an evaluation: if it breaks as many examples as PGD, the gradients mislead PGD.
    """

    kind: ClassVar[AttackKind] = "random"
    budget: ClassVar[tuple[str, ...]] = ("epsilon", "norm")

    draws: Annotated[int, Interval(ge=1, le=100_000), Doc("points tried for each image")] = 10

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        ball = threat.ball(x)
        return worst_of(model, y, CrossEntropy(), self.draws, lambda: ball.start("uniform", generator))

    def passes(self, threat: Threat) -> Passes:
        return Passes(self.draws, 0)
