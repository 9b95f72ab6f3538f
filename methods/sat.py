"""Standard adversarial training."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Method, Step


@dataclass(frozen=True, kw_only=True)
class SAT(Method):
    """Cross-entropy on the PGD variant (Madry et al., ICLR 2018, arXiv:1706.06083; Eq. 2 of the LRAT paper).

    Departs: nothing. The loss is the mean of per-example losses, as in the reweighting methods, so that these equal
    SAT bit for bit when all weights are 1.
    """

    formula = "l(f(x'), y); x' ascends l"
    bibtex = """
@inproceedings{madry2018towards,
  author    = {Aleksander Madry and Aleksandar Makelov and Ludwig Schmidt and Dimitris Tsipras and Adrian Vladu},
  title     = {Towards Deep Learning Models Resistant to Adversarial Attacks},
  booktitle = {International Conference on Learning Representations},
  year      = {2018},
  eprint    = {1706.06083},
  archivePrefix = {arXiv},
}
"""

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(CrossEntropy())
        return step.cross_entropy(step.model(variant.x)).mean()
