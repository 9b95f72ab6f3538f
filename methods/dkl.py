"""Adversarial training with the improved decoupled Kullback-Leibler loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.adversary import KL
from harness.plugin.method import Method, Step
from harness.plugin.soft_labels import at_least_float32


@dataclass(frozen=True, kw_only=True)
class DKL(Method):
    """IKL-AT: TRADES with KL decoupled into a weighted square and a cross-entropy (Cui et al., NeurIPS 2024).

    With o and o' the logits of image and variant, s the softmax of o, and d = o - o', KL(p(x) || p(x_adv)) has the
    gradient of DKL = alpha / 4 sum_jk w_jk (d_j - d_k)^2 - beta s . log p(x_adv) at alpha = beta = 1, with w_jk = s_j
    s_k, if w, s, and the o' in d are constants (arXiv:2305.13948, Theorem 1). The improved loss (IKL) differs twice:
    ``symmetric``: o' in d is no constant; ``class_wise``: w is of the mean s of the image's class, not of its own s.
    loss = l(f(x), y) + IKL. The square is alpha / 2 times the variance of d over the classes, drawn by s.

    The mean s of a class is taken of softmax(o / temperature), over the images of the epoch before; in the first epoch
    it is uniform. The defaults are those of the authors' script for CIFAR-10 (github.com/jiequancui/DKL, DKLv1), where
    alpha and beta have each other's names. As there, the variant ascends KL.

    Departs: a class without an image in an epoch keeps the mean that it had; that code divides by 0. The start is the
    protocol's (there 0.001 N(0, 1)), and so are the steps; that code also raises the radius over the training.
    """

    formula = "l(f(x), y) + alpha/4 sum_jk w_jk ((o - o')_j - (o - o')_k)^2 - beta s . log p(x'); x' ascends KL"
    bibtex = """
@inproceedings{cui2024decoupled,
  author    = {Jiequan Cui and Zhuotao Tian and Zhisheng Zhong and Xiaojuan Qi and Bei Yu and Hanwang Zhang},
  title     = {Decoupled Kullback-Leibler Divergence Loss},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2024},
  eprint    = {2305.13948},
  archivePrefix = {arXiv},
}
"""

    alpha: Annotated[float, Ge(0), Doc("weight of the square; the loss has alpha / 4")] = 20.0
    beta: Annotated[float, Ge(0), Doc("weight of the cross-entropy with soft labels")] = 4.0
    temperature: Annotated[float, Gt(0), Doc("divides the logits of which a class's mean is taken")] = 4.0
    symmetric: Annotated[bool, Doc("let the square's gradient flow through the variant, too")] = True
    class_wise: Annotated[bool, Doc("weigh by the mean prediction of the image's class")] = True

    def loss(self, step: Step) -> Tensor:
        variant = step.perturb(KL(step.x))
        clean, adversarial = at_least_float32(step.model(step.x)), at_least_float32(step.model(variant.x))
        own = clean.detach().softmax(1)
        weights = self._class_means(clean.detach(), step)[step.y] if self.class_wise else own
        difference = clean - (adversarial if self.symmetric else adversarial.detach())
        apart = difference - (weights * difference).sum(1, keepdim=True)
        square, soft = (weights * apart.square()).sum(1), -(own * adversarial.log_softmax(1)).sum(1)
        losses: Tensor = step.cross_entropy(clean) + self.alpha / 2 * square + self.beta * soft
        return losses.mean()

    @torch.no_grad()
    def _class_means(self, logits: Tensor, step: Step) -> Tensor:
        """``(classes, classes)``: in row c the mean prediction of class c in the epoch before; adds this batch's."""
        classes = logits.shape[1]
        if not self.memory:
            uniform = torch.full((classes, classes), 1 / classes, dtype=logits.dtype, device=logits.device)
            self.memory.update(epoch=step.epoch, means=uniform, sums=torch.zeros_like(uniform))
        if step.epoch != self.memory["epoch"]:
            sums, counts = self.memory["sums"], self.memory["sums"].sum(1, keepdim=True)  # a prediction's sum is 1
            self.memory["means"] = torch.where(counts > 0, sums / counts.clamp(min=1), self.memory["means"])
            self.memory.update(epoch=step.epoch, sums=torch.zeros_like(sums))
        members = F.one_hot(step.y, classes).to(logits.dtype)
        self.memory["sums"] = self.memory["sums"] + members.T @ (logits / self.temperature).softmax(1)
        means: Tensor = self.memory["means"]
        return means
