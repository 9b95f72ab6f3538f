"""TRADES with GAIRAT's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.methods._geometry_weights import GeometryWeighted
from harness.methods.trades import TRADES
from harness.plugin.adversary import KL, kl_divergence
from harness.plugin.method import Step


@dataclass(frozen=True, kw_only=True)
class GAIRTRADES(GeometryWeighted):
    """TRADES with a weight for each instance's KL term (Zhang et al., ICLR 2021, arXiv:2010.01736; Eq. 6 and 13).

    Departs: the geometric distance is counted along the KL attack itself (steps until the label is lost), without a
    second attack.
    """

    formula = "l(f(x), y) + 1/lambda w(k) KL(p(x) || p(x')), w(k) as in gairat; x' ascends the KL term"
    bibtex = GeometryWeighted.bibtex + TRADES.bibtex

    inverse_lambda: Annotated[float, Ge(0), Doc("1/lambda of Eq. 13; the official code calls it beta")] = 6.0

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(KL(step.x))
        clean, adversarial = step.model(step.x), step.model(variant.x)
        natural = step.cross_entropy(clean)
        weights = self.weights(step, variant.steps_to_flip)
        return (natural + self.inverse_lambda * weights * kl_divergence(clean, adversarial)).mean()
