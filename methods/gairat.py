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
    """SAT with one weight an instance, by its geometric distance (Zhang et al., ICLR 2021; LRAT paper, Eq. 4, 6).

    Departs: from the official code, a step at which an iterate turns right again does not count: the distance is the
    least number of steps, as the papers say. The start is uniform, as section 5.2 of the LRAT paper says.
    """

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(CrossEntropy())
        losses = F.cross_entropy(step.model(variant.x), step.y, reduction="none")
        return (self.weights(step, variant.steps_to_flip) * losses).mean()
