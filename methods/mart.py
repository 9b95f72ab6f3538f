"""Misclassification-aware adversarial training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.adversary import CrossEntropy, kl_divergence
from harness.plugin.method import Method, Step
from harness.plugin.settings import LATER
from harness.plugin.soft_labels import at_least_float32


@dataclass(frozen=True, kw_only=True)
class MART(Method):
    """Boosted cross-entropy, and a KL term weighted by 1 - p_y(x) (Wang et al., ICLR 2020, "MART", Eq. 7-11).

    loss = -log p_y(x_adv) - log(1 - max_{k != y} p_k(x_adv)) + weight KL(p(x) || p(x_adv)) (1 - p_y(x)).

    Departs: the variant is crafted by this protocol (evaluation mode, uniform start). log(1 - p) is computed from the
    logits, which is exact and finite. The official code adds constants instead: log(1.0001 - p + 1e-12) in the second
    term, log(p(x_adv) + 1e-12) in the KL term, and 1.0000001 - p_y(x). With ``guard=true`` they are added here, too. As
    in that code, the gradient flows through 1 - p_y(x).
    """

    formula = "-log p_y(x') - log(1 - max_{i != y} p_i(x')) + lambda KL(p(x) || p(x')) (1 - p_y(x)); x' ascends l"
    bibtex = """
@inproceedings{wang2020improving,
  author    = {Yisen Wang and Difan Zou and Jinfeng Yi and James Bailey and Xingjun Ma and Quanquan Gu},
  title     = {Improving Adversarial Robustness Requires Revisiting Misclassified Examples},
  booktitle = {International Conference on Learning Representations},
  year      = {2020},
}
"""

    weight: Annotated[float, Ge(0), Doc("lambda of the paper's Eq. 11; the official code calls it beta")] = 5.0
    guard: Annotated[
        bool, LATER, Doc("add the constants of the official code, which bound the loss of confident errors")
    ] = False

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(CrossEntropy())
        clean, adversarial = step.model(step.x), step.model(variant.x)
        if self.guard:
            second, divergence, missed = guarded_terms(at_least_float32(clean), at_least_float32(adversarial), step.y)
        else:
            second, divergence = margin_loss(adversarial, step.y), kl_divergence(clean, adversarial)
            missed = 1 - true_probability(clean, step.y)
        boosted = step.cross_entropy(adversarial) + second
        losses: Tensor = boosted + self.weight * divergence * missed
        return losses.mean()


def margin_loss(logits: Tensor, y: Tensor) -> Tensor:
    """-log(1 - max_{k != y} p_k) for each example, without forming 1 - p, which cancels for confident errors."""
    strongest = logits.detach().scatter(1, y[:, None], -torch.inf).argmax(1, keepdim=True)
    rest = logits.scatter(1, strongest, -torch.inf)
    return torch.logsumexp(logits, 1) - torch.logsumexp(rest, 1)


def true_probability(logits: Tensor, y: Tensor) -> Tensor:
    """``(batch,)`` p_y of each example."""
    return logits.softmax(1).gather(1, y[:, None]).squeeze(1)


def guarded_terms(clean: Tensor, adversarial: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The second term, the KL term, and its weight, each ``(batch,)``, with the constants of the official code.

    Source: the official code, mart.py of github.com/YisenWang/MART.
    """
    p = adversarial.softmax(1)
    strongest = p.detach().scatter(1, y[:, None], -1.0).argmax(1, keepdim=True)
    second = -torch.log(1.0001 - p.gather(1, strongest).squeeze(1) + 1e-12)
    log_clean = F.log_softmax(clean, 1)
    divergence = (log_clean.exp() * (log_clean - torch.log(p + 1e-12))).sum(1)
    return second, divergence, 1.0000001 - true_probability(clean, y)
