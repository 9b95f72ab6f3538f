"""Projected gradient descent on Carlini and Wagner's margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn
from typing_extensions import Doc

from harness.adversary import Margin, ascend
from harness.attack import Attack, Passes
from harness.threat import Threat


@dataclass(frozen=True, kw_only=True)
class CW(Attack):
    """PGD on the logit margin (Carlini and Wagner, S&P 2017, arXiv:1608.04644; Algorithm 3 of the LRAT paper).

    Departs: this is the L-infinity attack that the adversarial-training papers call CW, not Carlini and Wagner's
    own L2 optimisation, which other libraries give that name.
    """

    kappa: Annotated[float, Ge(0), Doc("confidence at which the margin is capped (Eq. 12)")] = 50.0
    keep: Annotated[Literal["last", "worst"], Doc("the iterate that is judged")] = "last"

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        return ascend(model, x, y, [Margin(self.kappa)], threat, generator, keep=self.keep)[0].x

    def passes(self, threat: Threat) -> Passes:
        return Passes(threat.steps + (self.keep == "worst"), threat.steps)
