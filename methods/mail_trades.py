"""Margin-aware instance reweighting of TRADES: MAIL-TRADES."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.methods._margin_weights import MarginWeighted
from harness.methods.trades import TRADES
from harness.plugin.adversary import KL, kl_divergence
from harness.plugin.method import Step


@dataclass(frozen=True, kw_only=True)
class MAILTRADES(MarginWeighted):
    """TRADES with a weight for each instance's KL term, by its margin (Wang et al., NeurIPS 2021, "MAIL-TRADES").

    The weight is that of ``mail``; the image's own term has no weight. All margins are read off the update's passes.

    Departs: the released code multiplies the weights by 3 instead of normalising them, and starts at x + 0.001 N(0, 1);
    the paper normalises, and the start here is the protocol's. ``slope``, ``bias``, and 1/lambda are those of
    the released command for MAIL-TRADES; there the weights begin at the end of epoch 76 of 120. The paper could not be
    compared with it.
    """

    formula = "l(f(x), y) + 1/lambda w(PM) KL(p(x) || p(x')), w = sigmoid(-2 PM), of mean 1; x' ascends the KL term"
    bibtex = MarginWeighted.bibtex + TRADES.bibtex

    slope: Annotated[
        float, Ge(0), Doc("gamma, how fast a weight falls with the margin; 0 gives every instance weight 1")
    ] = 2.0
    bias: Annotated[float, Doc("beta, the margin at which the sigmoid is 1/2")] = 0.0
    inverse_lambda: Annotated[float, Ge(0), Doc("1/lambda of TRADES; the released code calls it beta")] = 5.0

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(KL(step.x))
        clean, adversarial = step.model(step.x), step.model(variant.x)
        natural = step.cross_entropy(clean)
        weights = self.weights(step, adversarial, lambda: clean)
        return (natural + self.inverse_lambda * weights * kl_divergence(clean, adversarial)).mean()
