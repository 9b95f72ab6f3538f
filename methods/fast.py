"""Fast adversarial training: one step from a random start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Method, Step


@dataclass(frozen=True, kw_only=True)
class RSFGSM(Method):
    """Cross-entropy on the variant of one large step from a uniform start (Wong et al., ICLR 2020, "RS-FGSM", Alg. 3).

    Of the training budget it reads the radius alone: it always takes one step, of ``alpha`` radii, from a uniform
    start. With these settings SAT is this method, to the last bit. It may overfit to its own step, and then its
    accuracy under PGD falls to zero: see the check ``catastrophic-overfitting``.

    Departs: the variant is crafted in evaluation mode, as every variant here; the released code crafts in training
    mode. That code also trains with a one-cycle learning rate and in half precision; here the protocol decides.
    """

    formula = "l(f(x'), y); x' one step of alpha epsilon that ascends l, from a uniform start"
    bibtex = """
@inproceedings{wong2020fast,
  author    = {Eric Wong and Leslie Rice and J. Zico Kolter},
  title     = {Fast is better than free: Revisiting adversarial training},
  booktitle = {International Conference on Learning Representations},
  year      = {2020},
  eprint    = {2001.03994},
  archivePrefix = {arXiv},
}
"""

    alpha: Annotated[float, Ge(0), Doc("length of the step, as a multiple of the training radius")] = 1.25

    def loss(self, step: Step) -> Tensor:
        threat = replace(step.threat, steps=1, step_size=self.alpha * step.threat.epsilon, start="uniform")
        variant = step.perturb(CrossEntropy(), threat=threat)
        return step.cross_entropy(step.model(variant.x)).mean()
