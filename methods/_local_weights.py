"""The local weights of LRAT and LRAT-TRADES: vulnerability, g, and the normalisation of Eq. 17."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Interval
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.adversary import CrossEntropy, Margin, Objective
from harness.plugin.method import Method, Step


@dataclass(frozen=True, kw_only=True)
class LocallyWeighted(Method):
    """Base of LRAT and LRAT-TRADES: the simulated attacks, g for each, the least total weight, and diagnostics."""

    bibtex = """
@article{gao2021local,
  author  = {Ruize Gao and Feng Liu and Kaiwen Zhou and Gang Niu and Bo Han and James Cheng},
  title   = {Local Reweighting for Adversarial Training},
  journal = {arXiv preprint arXiv:2106.15776},
  year    = {2021},
}
"""

    attacks: Annotated[Literal["pgd+cw", "pgd", "cw"], Doc("the attacks simulated in training")] = "pgd+cw"
    alpha_pgd: Annotated[float, Ge(0), Doc("scale of g for the PGD variant (Eq. 10)")] = 2.0
    beta_pgd: Annotated[float, Ge(0), Doc("exponent of g for the PGD variant (Eq. 10)")] = 0.5
    alpha_cw: Annotated[float, Ge(0), Doc("scale of g for the CW variant (Eq. 10)")] = 2.0
    beta_cw: Annotated[float, Ge(0), Doc("exponent of g for the CW variant (Eq. 10)")] = 0.5
    minimum: Annotated[float, Interval(ge=0, lt=1), Doc("C, the least total weight of an instance (Eq. 5)")] = 0.1
    kappa: Annotated[float, Ge(0), Doc("confidence at which the CW objective is capped (Eq. 12)")] = 50.0

    def objectives(self) -> dict[str, Objective]:
        """Simulated attack -> the objective that it ascends."""
        known: dict[str, Objective] = {"pgd": CrossEntropy(), "cw": Margin(self.kappa)}
        return {name: known[name] for name in self.attacks.split("+")}

    def weights(self, step: Step, logits: Mapping[str, Tensor], minimum: float) -> tuple[list[Tensor], Tensor]:
        """The weights omega_ij of each attack's variants, and the floor weights.

        Args:
            logits: attack -> logits of its variants, from the update's own passes.
        """
        weights, floor = local_weights([self._gain(name, z, step.y) for name, z in logits.items()], minimum)
        total = torch.stack(weights).sum(0)
        for name, of_attack in zip(logits, weights, strict=True):
            step.count(f"weight_{name}", of_attack, low=0.0, high=2.0, bins=50)
        step.count("weight", total, low=0.0, high=2.0, bins=50)
        step.log("weight_mean", total.mean())
        step.log("weight_min", total.amin())
        step.log("effective_sample_share", total.sum().square() / (len(total) * total.square().sum()))
        if minimum > 0:
            step.log("floor_share", (floor > 0).float().mean())
            step.count("floor", floor, low=0.0, high=1.0, bins=50)
        return weights, floor

    def _gain(self, attack: str, logits: Tensor, y: Tensor) -> Tensor:
        if attack == "pgd":
            return decreasing(vulnerability_pgd(logits, y), self.alpha_pgd, self.beta_pgd)
        return decreasing(vulnerability_cw(logits, y), self.alpha_cw, self.beta_cw)


def vulnerability_pgd(logits: Tensor, y: Tensor) -> Tensor:
    """p_y of each example's PGD variant, in [0, 1] (LRAT paper, Eq. 8); smaller is more vulnerable. No gradient."""
    return _probabilities(logits).gather(1, y[:, None]).squeeze(1)


def vulnerability_cw(logits: Tensor, y: Tensor) -> Tensor:
    """p_y - max_{i != y} p_i of each example's CW variant, in [-1, 1] (LRAT paper, Eq. 9). No gradient."""
    probabilities = _probabilities(logits)
    true = probabilities.gather(1, y[:, None]).squeeze(1)
    return true - probabilities.scatter(1, y[:, None], 0.0).amax(1)


def _probabilities(logits: Tensor) -> Tensor:
    """Softmax without gradient, in float32 or better: half precision would round robust examples to V = 1."""
    return logits.detach().to(torch.promote_types(logits.dtype, torch.float32)).softmax(1)


def decreasing(vulnerability: Tensor, alpha: float, beta: float) -> Tensor:
    """g(V) = alpha (1 - V)^beta (LRAT paper, Eq. 10)."""
    return alpha * (1 - vulnerability).clamp(min=0.0) ** beta  # rounding may put V slightly above 1


def local_weights(raw: Sequence[Tensor], minimum: float) -> tuple[list[Tensor], Tensor]:
    """Scale a batch's raw weights so that the mean total weight of an instance is one.

    Args:
        raw: for each simulated attack j, ``(batch,)`` values g(V_ij) >= 0, without gradient.
        minimum: C in [0, 1), the least total weight of an instance; 0 for no floor.
    Returns:
        The weights omega_ij = s g(V_ij), one ``(batch,)`` tensor an attack, and the floor weights
        ``[C - sum_j omega_ij]_+``; where every g of the batch is 0, omega is 0 and every floor weight is 1.
    Source: LRAT paper, Eq. 5, 7 and 17. With G_i = sum_j g(V_ij), Eq. 17 asks for mean_i max(C, s G_i) = 1.
        The left side is the largest, over k, of the lines (C (n - k) + s P_k) / n, P_k being the sum of the k
        largest G: each line leaves out a floor or a gain, the right k neither. An increasing maximum of lines
        reaches 1 at the least of the points where a line does, so s = min_k (n - C (n - k)) / P_k: exact, on the
        device, without waiting for a value.
    Departs: the paper does not say how the constraint is met; it is read literally, so that C keeps its meaning.
    """
    totals = torch.stack(list(raw)).double().sum(0)
    n = len(totals)
    largest = totals.sort(descending=True).values.cumsum(0)
    k = torch.arange(1, n + 1, device=totals.device, dtype=totals.dtype)
    candidates = (n - minimum * (n - k)) / largest  # P_k = 0 gives inf, which no minimum takes if any G is positive
    degenerate = largest[-1] <= 0
    scale = torch.where(degenerate, torch.zeros_like(largest[-1]), candidates.amin())
    weights = [(scale * g.double()).to(g.dtype) for g in raw]
    floor = (minimum - scale * totals).clamp(min=0.0)
    return weights, torch.where(degenerate, torch.ones_like(floor), floor).to(raw[0].dtype)
