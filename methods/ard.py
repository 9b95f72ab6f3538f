"""Adversarially robust distillation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt, Interval
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.adversary import CrossEntropy
from harness.plugin.given import Trained
from harness.plugin.method import Method, Step
from harness.plugin.soft_labels import answers, distilled


@dataclass(frozen=True, kw_only=True)
class ARD(Method):
    """The student's answer on the variant follows a robust teacher's on the image (Goldblum et al., AAAI 2020).

    loss = alpha t^2 KL(T_t(x) || S_t(x_adv)) + (1 - alpha) l(S(x), y), where the index t divides the logits by t. The
    variant ascends the student's cross-entropy. The defaults are those of the authors' code. The student passes the
    image even if alpha is 1, as in that code: batch-norm's running statistics are of images and of variants.

    Departs: the paper writes the label's cross-entropy, and the objective of crafting, with S_t; here, as in the
    authors' code, neither has a temperature. That code divides the KL term by the number of classes as well (the mean
    over all entries); here it is the mean over the images, as the paper's expectation. It crafts in training mode, so
    that its running statistics are of the iterates, too. The start is the protocol's.
    """

    formula = "alpha t^2 KL(T_t(x) || S_t(x')) + (1 - alpha) l(S(x), y); x' ascends l(S(x'), y)"
    bibtex = """
@inproceedings{goldblum2020adversarially,
  author    = {Micah Goldblum and Liam Fowl and Soheil Feizi and Tom Goldstein},
  title     = {Adversarially Robust Distillation},
  booktitle = {AAAI Conference on Artificial Intelligence},
  year      = {2020},
  eprint    = {1905.09747},
  archivePrefix = {arXiv},
}
"""

    teacher: Annotated[Trained, Doc("a robust network that was trained before")] = ""
    alpha: Annotated[float, Interval(ge=0, le=1), Doc("weight of the teacher's answer against the label's")] = 1.0
    temperature: Annotated[float, Gt(0), Doc("t, by which logits are divided in the KL term")] = 30.0

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(CrossEntropy())
        taught = answers(self.networks["teacher"], step.x)
        adversarial, clean = step.model(variant.x), step.model(step.x)
        distance = distilled(taught, adversarial, self.temperature)
        return (self.alpha * distance + (1 - self.alpha) * step.cross_entropy(clean)).mean()
