"""Projected gradient descent on the cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from typing_extensions import Doc

from harness.adversary import CrossEntropy, ascend
from harness.attack import Attack, Passes
from harness.threat import Threat


@dataclass(frozen=True, kw_only=True)
class PGD(Attack):
    """PGD on the cross-entropy (Madry et al., ICLR 2018, arXiv:1706.06083; Algorithm 2 of the LRAT paper).

    Departs: nothing. The verdict is the last iterate's, so that figures compare with the paper's; ``keep=worst``
    is stronger.
    """

    keep: Annotated[Literal["last", "worst"], Doc("the iterate that is judged")] = "last"

    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        return ascend(model, x, y, [CrossEntropy()], threat, generator, keep=self.keep)[0].x

    def passes(self, threat: Threat) -> Passes:
        return Passes(threat.steps + (self.keep == "worst"), threat.steps)
