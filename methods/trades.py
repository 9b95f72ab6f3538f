"""TRADES: natural accuracy traded against stability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.adversary import KL, kl_divergence
from harness.plugin.method import Method, Step


@dataclass(frozen=True, kw_only=True)
class TRADES(Method):
    """Natural cross-entropy and a KL term that ties the variant to the image (Zhang et al., ICML 2019; Eq. 13-16).

    As in the official code, the gradient flows through both p(x) and p(x_adv), and each has its own forward pass, with
    its own batch statistics.

    Departs: the start is uniform (section 5.2 of the LRAT paper); the official code's is ``train.start=gaussian``.
    """

    takes_mixed_labels = True  # as Rebuffi et al. 2021 train it; the KL term needs no label
    formula = "l(f(x), y) + 1/lambda KL(p(x) || p(x')); x' ascends the KL term"
    bibtex = """
@inproceedings{zhang2019theoretically,
  author    = {Hongyang Zhang and Yaodong Yu and Jiantao Jiao and Eric P. Xing and Laurent El Ghaoui
               and Michael I. Jordan},
  title     = {Theoretically Principled Trade-off between Robustness and Accuracy},
  booktitle = {International Conference on Machine Learning},
  year      = {2019},
  eprint    = {1901.08573},
  archivePrefix = {arXiv},
}
"""

    inverse_lambda: Annotated[float, Ge(0), Doc("1/lambda of Eq. 13; the official code calls it beta")] = 6.0

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(KL(step.x))
        clean, adversarial = step.model(step.x), step.model(variant.x)
        natural = step.cross_entropy(clean)
        return (natural + self.inverse_lambda * kl_divergence(clean, adversarial)).mean()
