"""Locally reweighted adversarial training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from torch import Tensor
from typing_extensions import Doc

from harness.adversary import CrossEntropy, Margin, Objective
from harness.errors import SettingError
from harness.method import Method, Step
from methods._local_weights import decreasing, local_weights, vulnerability_cw, vulnerability_pgd


@dataclass(frozen=True, kw_only=True)
class LRAT(Method):
    """Each attack's variant weighted by its own vulnerability, with a floor (Gao et al., 2021, Eq. 5, 7-10, 17).

    The defaults are ([N]+P+C) of Table 4; the other rows are ``attacks=pgd floor=none`` (P), ``attacks=cw floor=none``
    (C), ``floor=none`` (P+C), and ``floor=pgd`` ([P]+P+C).

    Departs: ``floor=none`` has no floor weight, so C plays no part and the weights themselves have mean one. The
    margin's cap replaces Eq. 12's constant (see ``harness.adversary.Margin``).
    """

    attacks: Annotated[Literal["pgd+cw", "pgd", "cw"], Doc("the attacks simulated in training")] = "pgd+cw"
    alpha_pgd: Annotated[float, Ge(0), Doc("scale of g for the PGD variant (Eq. 10)")] = 2.0
    beta_pgd: Annotated[float, Ge(0), Doc("exponent of g for the PGD variant (Eq. 10)")] = 0.5
    alpha_cw: Annotated[float, Ge(0), Doc("scale of g for the CW variant (Eq. 10)")] = 2.0
    beta_cw: Annotated[float, Ge(0), Doc("exponent of g for the CW variant (Eq. 10)")] = 0.5
    minimum: Annotated[float, Interval(ge=0, lt=1), Doc("C, the least total weight of an instance (Eq. 5)")] = 0.1
    floor: Annotated[
        Literal["natural+pgd", "natural", "pgd", "none"],
        Doc("what the floor weight weighs: the loss of the image, of its PGD variant, their sum, or no floor"),
    ] = "natural+pgd"
    kappa: Annotated[float, Ge(0), Doc("confidence at which the CW objective is capped (Eq. 12)")] = 50.0

    def check(self) -> None:
        if "pgd" in self.floor and "pgd" not in self.attacks:
            raise SettingError(
                f"floor={self.floor} needs the PGD variant, and attacks={self.attacks} makes none;"
                " choose floor=natural or floor=none"
            )

    def loss(self, step: Step) -> Tensor:
        objectives: dict[str, Objective] = {"pgd": CrossEntropy(), "cw": Margin(self.kappa)}
        simulated = {name: objectives[name] for name in self.attacks.split("+")}
        variants = step.perturb_all(*simulated.values())

        losses: dict[str, Tensor] = {}
        raw: list[Tensor] = []
        for name, variant in zip(simulated, variants, strict=True):
            logits = step.model(variant.x)
            losses[name] = F.cross_entropy(logits, step.y, reduction="none")
            raw.append(self._g(name, logits, step.y))

        weights, floor = local_weights(raw, 0.0 if self.floor == "none" else self.minimum)
        total = torch.stack([w * loss for w, loss in zip(weights, losses.values(), strict=True)]).sum(0)
        if "natural" in self.floor:
            total = total + floor * F.cross_entropy(step.model(step.x), step.y, reduction="none")
        if "pgd" in self.floor:
            total = total + floor * losses["pgd"]

        step.log("weight_mean", torch.stack(weights).sum(0).mean())
        if self.floor != "none":
            step.log("floor_share", (floor > 0).float().mean())
        return total.mean()

    def _g(self, attack: str, logits: Tensor, y: Tensor) -> Tensor:
        if attack == "pgd":
            return decreasing(vulnerability_pgd(logits, y), self.alpha_pgd, self.beta_pgd)
        return decreasing(vulnerability_cw(logits, y), self.alpha_cw, self.beta_cw)
