"""TRADES with class-wise calibrated radii and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.methods._class_accuracies import ClassCalibrated
from harness.methods.trades import TRADES
from harness.plugin.adversary import KL, kl_divergence
from harness.plugin.method import Step


@dataclass(frozen=True, kw_only=True)
class CFATRADES(ClassCalibrated):
    """TRADES with a radius and a 1/lambda for each class, by its accuracy (Wei et al., CVPR 2023, "TRADES+CFA").

    The radius of class k is (lambda_1 + t_k) epsilon, its 1/lambda is b_k = (lambda_2 + t_k) / lambda, where t_k is the
    accuracy of the class on its variants in the epoch before. The loss of an image is (l + b_k KL) / (1 + b_k), so that
    all classes have the same sum of weights; with one b for all it is TRADES, divided by 1 + b.

    Departs: as ``cfa``, but for TRADES the released code crafts in evaluation mode, too; and the start is uniform (that
    of the released code is ``train.start=gaussian``). The image has one pass in training mode, where that code has
    three: two equal ones in the update, and one after it.
    """

    formula = (
        "(l(f(x), y) + b KL(p(x) || p(x'))) / (1 + b), b = (0.5 + t_y) / lambda, |x' - x| <= (0.5 + t_y) epsilon, t_y"
        " as in cfa; x' ascends the KL term"
    )
    bibtex = ClassCalibrated.bibtex + TRADES.bibtex

    inverse_lambda: Annotated[float, Ge(0), Doc("1/lambda of TRADES; the released code calls it beta")] = 6.0
    least_share: Annotated[
        float, Ge(0), Doc("lambda_2: the factor of 1/lambda of a class with accuracy 0; it grows by the accuracy")
    ] = 0.5

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(KL(step.x), radii=self.radii(step))
        weights = self.inverse_lambda * self.factors(step, self.least_share)
        clean, adversarial = step.model(step.x), step.model(variant.x)
        self.learn(step, adversarial)
        losses = step.cross_entropy(clean) + weights * kl_divergence(clean, adversarial)
        return (losses / (1 + weights)).mean()
