"""Geometry-aware instance-reweighted adversarial training."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from harness.methods._geometry_weights import GeometryWeighted
from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Step


@dataclass(frozen=True, kw_only=True)
class GAIRAT(GeometryWeighted):
    """SAT with a weight for each instance, by its geometric distance (Zhang et al., ICLR 2021; LRAT paper, Eq. 4, 6).

    Departs: the distance is the least number of steps to a misclassified iterate, as the papers say; the official code
    also counts later steps at which the iterate is classified rightly again. The start is uniform (section 5.2 of the
    LRAT paper).
    """

    formula = "w(k) l(f(x'), y), w(k) = (1 + tanh(lambda + 5 (1 - 2 k / K))) / 2, of mean 1; x' ascends l"

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(CrossEntropy())
        losses = F.cross_entropy(step.model(variant.x), step.y, reduction="none")
        return (self.weights(step, variant.steps_to_flip) * losses).mean()
