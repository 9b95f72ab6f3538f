"""Margin-aware instance reweighting: MAIL-AT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.methods._margin_weights import MarginWeighted
from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Step


@dataclass(frozen=True, kw_only=True)
class MAIL(MarginWeighted):
    """SAT with a weight for each instance, by its probabilistic margin (Wang et al., NeurIPS 2021, "MAIL-AT").

    The weight is sigmoid(-slope (PM - bias)), normalised over the batch to mean 1, where PM = p_y(x') - max_{i != y}
    p_i(x') is read off the update's own pass. It is a constant in the update.

    ``slope`` and ``bias`` are those of the released command for MAIL-AT.

    Departs: the released code multiplies the weights by 3 instead of normalising them, and starts at x + 0.001 N(0, 1);
    the paper normalises, and the start here is the protocol's. Its weights begin after 76 of 120 epochs; ``burn_in`` is
    the paper's, from memory. ``margin=nat`` and ``margin=dif`` add a pass of the images in training mode, without
    gradient, after the burn-in.
    """

    formula = (
        "w(PM) l(f(x'), y), w = sigmoid(-10 (PM + 0.5)), of mean 1, PM = p_y(x') - max_{i != y} p_i(x'); x' ascends l"
    )

    slope: Annotated[
        float, Ge(0), Doc("gamma, how fast a weight falls with the margin; 0 gives every instance weight 1")
    ] = 10.0
    bias: Annotated[float, Doc("beta, the margin at which the sigmoid is 1/2")] = -0.5

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(CrossEntropy())
        adversarial = step.model(variant.x)
        weights = self.weights(step, adversarial, lambda: step.model(step.x))
        return (weights * step.cross_entropy(adversarial)).mean()
