"""Friendly adversarial training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.methods._early_stops import EarlyStopped
from harness.methods._geometry_weights import tell_distances
from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Step


@dataclass(frozen=True, kw_only=True)
class FAT(EarlyStopped):
    """Cross-entropy on variants that stop soon after they are misclassified (Zhang et al., ICML 2020, Algorithm 1, 2).

    The search of an example stops at the iterate that is misclassified for the (tau + 1)-th time. Tau is 0 at first, 1
    after 50, and 2 after 90 of 120 epochs, as in the released code for WRN-32-10; here at the same fractions.

    Departs: nothing is added to the iterates. The released code adds 0.001 N(0, 1) after each step (``--omega``). The
    released code passes only the examples that still move, which saves passes; here each of the K passes has the batch.
    """

    formula = "l(f(x'), y); x' ascends l until it is misclassified for the (tau + 1)-th time"
    rises = (50 / 120, 90 / 120)

    tau: Annotated[
        int, Ge(0), Doc("misclassified iterates that the search leaves behind, at the end of the training")
    ] = 2

    def loss(self, step: Step) -> Tensor:
        variant = self.stopped(step, CrossEntropy())
        tell_distances(step, variant.steps_to_flip)
        return step.cross_entropy(step.model(variant.x)).mean()
