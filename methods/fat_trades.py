"""TRADES on friendly adversarial examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.methods._early_stops import EarlyStopped
from harness.methods._geometry_weights import tell_distances
from harness.methods.trades import TRADES
from harness.plugin.adversary import KL, kl_divergence
from harness.plugin.method import Step


@dataclass(frozen=True, kw_only=True)
class FATTRADES(EarlyStopped):
    """TRADES on variants that stop soon after they are misclassified (Zhang et al., ICML 2020, "FAT for TRADES").

    The variant ascends the KL term; its search stops at the iterate that is misclassified for the (tau + 1)-th time.
    Tau is 0 at first, and rises by 1 after 30, 50, and 70 of 85 epochs, as in the released code; here at the same
    fractions.

    Departs: the start is uniform; the released code's is ``train.start=gaussian``. The released code passes only the
    examples that still move; here each of the K passes has the batch.
    """

    formula = "l(f(x), y) + 1/lambda KL(p(x) || p(x')); x' ascends the KL term until it is misclassified tau + 1 times"
    bibtex = EarlyStopped.bibtex + TRADES.bibtex
    rises = (30 / 85, 50 / 85, 70 / 85)

    tau: Annotated[
        int, Ge(0), Doc("misclassified iterates that the search leaves behind, at the end of the training")
    ] = 3
    inverse_lambda: Annotated[float, Ge(0), Doc("1/lambda of TRADES; the released code calls it beta")] = 6.0

    def loss(self, step: Step) -> Tensor:
        variant = self.stopped(step, KL(step.x))
        tell_distances(step, variant.steps_to_flip)
        clean, adversarial = step.model(step.x), step.model(variant.x)
        natural = step.cross_entropy(clean)
        return (natural + self.inverse_lambda * kl_divergence(clean, adversarial)).mean()
