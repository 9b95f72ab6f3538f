"""Locally reweighted adversarial training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor
from typing_extensions import Doc

from harness.errors import SettingError
from harness.methods._local_weights import LocallyWeighted
from harness.plugin.method import Step


@dataclass(frozen=True, kw_only=True)
class LRAT(LocallyWeighted):
    """Weights each attack's variant by its vulnerability, with a floor (Gao et al., 2021, Eq. 5, 7-10, 17).

    The defaults are ([N]+P+C) of Table 4; the other rows are ``attacks=pgd floor=none`` (P), ``attacks=cw floor=none``
    (C), ``floor=none`` (P+C), and ``floor=pgd`` ([P]+P+C).

    Departs: ``floor=none`` has no floor weight, so C has no effect and the weights alone have mean one. The margin's
    cap replaces Eq. 12's constant (see ``harness.plugin.adversary.Margin``).
    """

    formula = "sum_j w_j l(f(x'_j), y) + floor (l(f(x), y) + l(f(x'_PGD), y)), w_j ~ alpha (1 - V_j)^beta; j = PGD, CW"

    floor: Annotated[
        Literal["natural+pgd", "natural", "pgd", "none"],
        Doc("the loss that the floor weight multiplies: of the image, of its PGD variant, their sum, or no floor"),
    ] = "natural+pgd"

    def check(self) -> None:
        if "pgd" in self.floor and "pgd" not in self.attacks:
            raise SettingError(
                f"floor={self.floor} needs the PGD variant, and attacks={self.attacks} makes none;"
                " choose floor=natural or floor=none"
            )

    def loss(self, step: Step) -> Tensor:
        objectives = self.objectives()
        variants = dict(zip(objectives, step.perturb_all(*objectives.values()), strict=True))
        logits = {name: step.model(variant.x) for name, variant in variants.items()}
        losses = {name: step.cross_entropy(z) for name, z in logits.items()}

        weights, floor = self.weights(step, logits, 0.0 if self.floor == "none" else self.minimum)
        total = torch.stack([w * loss for w, loss in zip(weights, losses.values(), strict=True)]).sum(0)
        if "natural" in self.floor:
            total = total + floor * step.cross_entropy(step.model(step.x))
        if "pgd" in self.floor:
            total = total + floor * losses["pgd"]
        return total.mean()
