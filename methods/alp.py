"""Adversarial logit pairing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Method, Step
from harness.plugin.soft_labels import at_least_float32


@dataclass(frozen=True, kw_only=True)
class ALP(Method):
    """Cross-entropy of images and variants, and a term that pairs their logits (Kannan et al., 2018, Eq. 1 and 2).

    loss = (l(f(x), y) + l(f(x'), y)) / 2 + weight mean_k (Z_k(x) - Z_k(x'))^2: the mean over a batch that is half clean
    and half adversarial ("M-PGD"), and the L2 loss of the pairs of logits.

    The pairing shrinks the loss's gradient at the image, so attacks that follow it may fail where others do not.
    Engstrom et al. (2018, arXiv:1807.10272) broke the paper's networks: read the flags beside its figures.

    The paper leaves open how the L2 loss is scaled; the mean of squares over the classes is that of the authors' code
    (tensorflow/models, research/adversarial_logit_pairing, train.py).

    Departs: the authors' networks on ImageNet train on targeted variants, with smoothed labels and averaged weights;
    images and variants pass together. Here x' ascends l, and they have passes of their own.
    """

    formula = "(l(f(x), y) + l(f(x'), y)) / 2 + lambda mean_k (Z_k(x) - Z_k(x'))^2; x' ascends l"
    bibtex = """
@article{kannan2018adversarial,
  author    = {Harini Kannan and Alexey Kurakin and Ian Goodfellow},
  title     = {Adversarial Logit Pairing},
  journal   = {arXiv preprint arXiv:1803.06373},
  year      = {2018},
  eprint    = {1803.06373},
  archivePrefix = {arXiv},
}
"""

    weight: Annotated[float, Ge(0), Doc("lambda of the paper, the weight of the pairing")] = 0.5

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(CrossEntropy())
        clean, adversarial = at_least_float32(step.model(step.x)), at_least_float32(step.model(variant.x))
        paired = (clean - adversarial).square().mean(1)
        mixed = step.cross_entropy(clean) + step.cross_entropy(adversarial)
        losses: Tensor = 0.5 * mixed + self.weight * paired
        return losses.mean()
