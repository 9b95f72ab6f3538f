"""Helper-based adversarial training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.adversary import KL, kl_divergence
from harness.plugin.given import Trained
from harness.plugin.method import Method, Step
from harness.plugin.soft_labels import answers


@dataclass(frozen=True, kw_only=True)
class HAT(Method):
    """TRADES, and helper examples that a standard network labels (Rade & Moosavi-Dezfooli, ICLR 2022).

    loss = l(f(x), y) + beta KL(p(x) || p(x_adv)) + gamma l(f(x + h r), y'), with r = x_adv - x, and y' the class that a
    network of standard training gives x_adv (ICLR 2022, Algorithm 1). The variant ascends the KL term. As in the
    authors' code, the helper example is not clipped to [0, 1], and the gradient flows through p(x) and p(x_adv).

    Departs: the start is the protocol's. A wrapper that smooths labels does not smooth y'.
    """

    formula = "l(f(x), y) + beta KL(p(x) || p(x')) + gamma l(f(x + h (x' - x)), argmax g(x')); x' ascends the KL term"
    bibtex = """
@inproceedings{rade2022reducing,
  author    = {Rahul Rade and Seyed-Mohsen Moosavi-Dezfooli},
  title     = {Reducing Excessive Margin to Achieve a Better Accuracy vs. Robustness Trade-off},
  booktitle = {International Conference on Learning Representations},
  year      = {2022},
}
"""

    helper: Annotated[Trained, Doc("a network of standard training (method standard), which labels the helpers")] = ""
    beta: Annotated[float, Ge(0), Doc("weight of the KL term")] = 2.5
    gamma: Annotated[float, Ge(0), Doc("weight of the helper examples")] = 0.5
    reach: Annotated[float, Ge(0), Doc("h: a helper example is x + h (x_adv - x)")] = 2.0

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(KL(step.x))
        beyond = step.x + self.reach * (variant.x - step.x)
        labels = answers(self.networks["helper"], variant.x).argmax(1)
        clean, adversarial, helped = step.model(step.x), step.model(variant.x), step.model(beyond)
        help_losses = F.cross_entropy(helped, labels, reduction="none")
        robust = kl_divergence(clean, adversarial)
        return (step.cross_entropy(clean) + self.beta * robust + self.gamma * help_losses).mean()
