"""TRADES with LRAT's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.methods._local_weights import LocallyWeighted
from harness.methods.trades import TRADES
from harness.plugin.adversary import KL, kl_divergence
from harness.plugin.method import Step


@dataclass(frozen=True, kw_only=True)
class LRATTRADES(LocallyWeighted):
    """TRADES whose KL term is reweighted inside each pair (Gao et al., 2021, Algorithm 4, Eq. 7-10, 13, 17).

    Departs: in Algorithm 4 as printed, an instance's natural loss counts only if its total weight is below C. Almost
    no label enters the loss, and the network may predict a constant. By default the natural loss has weight 1, as in
    TRADES, plus the floor weight; ``literal=true`` is Algorithm 4 as printed, without 1/lambda.
    """

    formula = "l(f(x), y) + 1/lambda sum_j w_j KL(p(x) || p(x'_j)) + floor l(f(x), y), w_j as in lrat; j = PGD, CW"
    bibtex = LocallyWeighted.bibtex + TRADES.bibtex

    inverse_lambda: Annotated[float, Ge(0), Doc("1/lambda of Eq. 13; the official code calls it beta")] = 6.0
    first: Annotated[Literal["ce", "kl"], Doc("objective of the PGD variant: the paper's cross-entropy, or KL")] = "ce"
    literal: Annotated[bool, Doc("Algorithm 4 as printed: labels only under the floor, no 1/lambda")] = False

    def loss(self, step: Step) -> Tensor:
        objectives = self.objectives()
        if self.first == "kl" and "pgd" in objectives:
            objectives["pgd"] = KL(step.x)
        variants = dict(zip(objectives, step.perturb_all(*objectives.values()), strict=True))
        clean = step.model(step.x)
        logits = {name: step.model(variant.x) for name, variant in variants.items()}
        natural = step.cross_entropy(clean)

        weights, floor = self.weights(step, logits, self.minimum)
        divergences = [w * kl_divergence(clean, z) for w, z in zip(weights, logits.values(), strict=True)]
        reweighted = torch.stack(divergences).sum(0)
        if self.literal:
            return (floor * natural + reweighted).mean()
        return (natural + self.inverse_lambda * reweighted + floor * natural).mean()
