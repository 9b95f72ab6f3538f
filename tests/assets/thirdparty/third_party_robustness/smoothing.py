"""Standard adversarial training with smoothed labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from annotated_types import Interval
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Method, Step


@dataclass(frozen=True, kw_only=True)
class LabelSmoothing(Method):
    """Cross-entropy on the PGD variant with smoothed labels (Szegedy et al., CVPR 2016).

    Departs: nothing.
    """

    smoothing: Annotated[float, Interval(ge=0, lt=1), Doc("probability taken from the true label")] = 0.1

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(CrossEntropy())
        return F.cross_entropy(step.model(variant.x), step.y, label_smoothing=self.smoothing)
