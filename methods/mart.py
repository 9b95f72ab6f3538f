"""Misclassification-aware adversarial training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.adversary import CrossEntropy, kl_divergence
from harness.plugin.method import Method, Step


@dataclass(frozen=True, kw_only=True)
class MART(Method):
    """Boosted cross-entropy, and a KL term weighted by 1 - p_y(x) (Wang et al., ICLR 2020, "MART", Eq. 7-11).

    loss = -log p_y(x_adv) - log(1 - max_{k != y} p_k(x_adv)) + weight KL(p(x) || p(x_adv)) (1 - p_y(x)).

    Departs: the variant is crafted by this protocol (evaluation mode, uniform start). log(1 - p) is computed from the
    logits; the official code adds 0.0001 to keep it finite. As in that code, the gradient flows through 1 - p_y(x).
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

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(CrossEntropy())
        clean, adversarial = step.model(step.x), step.model(variant.x)
        boosted = step.cross_entropy(adversarial) + margin_loss(adversarial, step.y)
        missed = 1 - clean.softmax(1).gather(1, step.y[:, None]).squeeze(1)
        losses: Tensor = boosted + self.weight * kl_divergence(clean, adversarial) * missed
        return losses.mean()


def margin_loss(logits: Tensor, y: Tensor) -> Tensor:
    """-log(1 - max_{k != y} p_k) for each example, without forming 1 - p, which cancels for confident errors."""
    strongest = logits.detach().scatter(1, y[:, None], -torch.inf).argmax(1, keepdim=True)
    rest = logits.scatter(1, strongest, -torch.inf)
    return torch.logsumexp(logits, 1) - torch.logsumexp(rest, 1)
