"""Learnable boundary guided adversarial training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.adversary import KL, kl_divergence
from harness.plugin.given import Beside
from harness.plugin.method import Method, Step
from harness.plugin.soft_labels import at_least_float32


@dataclass(frozen=True, kw_only=True)
class LBGAT(Method):
    """The logits of a natural network, which trains beside, guide those of the robust one (Cui et al., ICCV 2021).

    loss = |f(x_adv) - g(x)|^2 + l(g(x), y) + beta KL(p(x) || p(x_adv)), with f the robust network, p its softmax, and g
    the natural network. The gradient of the first term flows into both networks. With beta 0 it is LBGAT of the paper's
    tables with alpha = 0, with beta 6 LBGAT+TRADES (arXiv:2011.11164). The variant ascends the KL term, as in TRADES.

    |.|^2 is the mean over the classes, as in the authors' code, which takes the mean over all entries; the paper writes
    the squared norm, which is as many times larger as there are classes.

    The robust network passes the image with beta 0, too, as in that code: so its batch-norm's running statistics are of
    images and variants.

    Departs: the natural network is, unless named, of the robust one's architecture; the authors' is a ResNet-18. The
    start is the protocol's.
    """

    formula = "mean (f(x') - g(x))^2 + l(g(x), y) + beta KL(p(x) || p(x')); x' ascends the KL term; g trains, too"
    bibtex = """
@inproceedings{cui2021learnable,
  author    = {Jiequan Cui and Shu Liu and Liwei Wang and Jiaya Jia},
  title     = {Learnable Boundary Guided Adversarial Training},
  booktitle = {IEEE/CVF International Conference on Computer Vision},
  year      = {2021},
  eprint    = {2011.11164},
  archivePrefix = {arXiv},
}
"""

    natural: Annotated[Beside, Doc("the natural network's architecture; empty: the robust network's")] = ""
    beta: Annotated[float, Ge(0), Doc("weight of the TRADES term; the paper calls it alpha")] = 0.0

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(KL(step.x))
        adversarial, guide = at_least_float32(step.model(variant.x)), at_least_float32(self.networks["natural"](step.x))
        with torch.set_grad_enabled(self.beta > 0):
            clean = step.model(step.x)
        losses: Tensor = (adversarial - guide).square().mean(1) + step.cross_entropy(guide)
        if self.beta > 0:
            losses = losses + self.beta * kl_divergence(clean, adversarial)
        return losses.mean()
