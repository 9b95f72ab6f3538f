"""Geometry-aware instance-reweighted adversarial training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.errors import SettingError
from harness.methods._geometry_weights import GeometryWeighted
from harness.plugin.adversary import CrossEntropy, Margin
from harness.plugin.method import Step
from harness.plugin.settings import LATER

KAPPA = 50.0


@dataclass(frozen=True, kw_only=True)
class GAIRAT(GeometryWeighted):
    """SAT with a weight for each instance, by its geometric distance (Zhang et al., ICLR 2021; LRAT paper, Eq. 4, 6).

    Departs: the distance is the least number of steps to a misclassified iterate, as the papers say; the official code
    also counts later steps at which the iterate is classified rightly again. The start is uniform (section 5.2 of the
    LRAT paper). The papers do not say how the distance is counted with ``attack=cw`` (Fig. 5 of the LRAT paper): it is
    the least number of steps of that attack.
    """

    formula = "w(k) l(f(x'), y), w(k) = (1 + tanh(lambda + 5 (1 - 2 k / K))) / 2, of mean 1; x' ascends l"

    attack: Annotated[
        Literal["pgd", "cw"], LATER, Doc("the attack simulated in training; the distance is counted along its path")
    ] = "pgd"
    kappa: Annotated[float, Ge(0), LATER, Doc("confidence at which attack=cw caps its objective (Eq. 12)")] = KAPPA

    def check(self) -> None:
        super().check()
        if self.attack == "pgd" and self.kappa != KAPPA:
            raise SettingError(f"kappa={self.kappa} has no effect with attack=pgd; leave it out, or choose attack=cw")

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(CrossEntropy() if self.attack == "pgd" else Margin(self.kappa))
        losses = step.cross_entropy(step.model(variant.x))
        return (self.weights(step, variant.steps_to_flip) * losses).mean()
