"""FGSM with a penalty that keeps the input gradient the same all over the ball."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.adversary import CrossEntropy
from harness.plugin.method import Method, Step


@dataclass(frozen=True, kw_only=True)
class GradAlign(Method):
    """FGSM training with gradient alignment (Andriushchenko & Flammarion, NeurIPS 2020, Eq. 4 and 5).

    loss = l(f(x'), y) + weight (1 - mean cos(g(x), g(x + eta))), g the gradient of the cross-entropy by the image, eta
    uniform in the ball, x' one step of ``alpha`` radii from x itself. The parameters' gradient flows through both g, so
    it is a gradient of a gradient. Of the training budget the method reads the norm and the radius alone.

    Images whose gradient is zero at one of the two points have no cosine, and are left out of its mean; without any
    other image the penalty is 0. As in the released code x + eta is not clipped to [0, 1].

    Departs: in the released code g(x) is a constant of the update (it detaches the gradient, of which it has made the
    step), and only g(x + eta) has a gradient by the parameters; Eq. 4 has no such constant. x' is crafted in
    evaluation mode, as every variant here. So its gradient is not g(x), which belongs to the update and is taken in
    training mode; the released code takes one gradient for both. x and x + eta have passes of their own. The labels of
    g are never smoothed. The paper's ``weight`` grows with the radius: 0.2 is that of 8/255 on CIFAR-10, and of radius
    n/255 exp(n ln(10)/8 + ln 0.02) in the released commands.
    """

    formula = "l(f(x'), y) + lambda (1 - cos(g(x), g(x + eta))), g = grad l; x' one step of epsilon from x"
    bibtex = """
@inproceedings{andriushchenko2020understanding,
  author    = {Maksym Andriushchenko and Nicolas Flammarion},
  title     = {Understanding and Improving Fast Adversarial Training},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2020},
  eprint    = {2007.02617},
  archivePrefix = {arXiv},
}
"""

    weight: Annotated[float, Ge(0), Doc("lambda of the paper, the weight of the penalty")] = 0.2
    alpha: Annotated[float, Ge(0), Doc("length of the step, as a multiple of the training radius")] = 1.0

    def loss(self, step: Step) -> Tensor:
        threat = replace(step.threat, steps=1, step_size=self.alpha * step.threat.epsilon, start="none")
        variant = step.perturb(CrossEntropy(), threat=threat)
        elsewhere = step.uniform(step.threat.epsilon)
        cosine = mean_cosine(_by_the_image(step, step.x), _by_the_image(step, elsewhere))
        step.log("alignment", cosine.detach())
        return step.cross_entropy(step.model(variant.x)).mean() + self.weight * (1 - cosine)


def _by_the_image(step: Step, images: Tensor) -> Tensor:
    """``(batch, ...)`` the gradient of the summed cross-entropy by the images, itself with a graph."""
    images = images.detach().requires_grad_()
    losses = F.cross_entropy(step.model(images), step.y, reduction="sum")
    (gradient,) = torch.autograd.grad(losses, images, create_graph=True)
    return gradient


def mean_cosine(first: Tensor, second: Tensor) -> Tensor:
    """The mean cosine of pairs ``(batch, ...)``, over the pairs of which neither is zero; 1 if there is no such pair.

    It is finite with a finite gradient, however short the vectors are.
    """
    lengths = [each.detach().flatten(1).abs().amax(1) for each in (first, second)]
    defined = (lengths[0] > 0) & (lengths[1] > 0)
    units = []
    for each, length in zip((first, second), lengths, strict=True):
        # scaled by a constant, so that no square underflows; the cosine does not change, and neither does its gradient
        scaled = each.flatten(1) / torch.where(defined, length, 1.0)[:, None]
        squares = torch.where(defined, scaled.square().sum(1), 1.0)
        units.append(scaled / squares.sqrt()[:, None])
    cosines = torch.where(defined, (units[0] * units[1]).sum(1), 0.0)
    number = defined.sum()
    return torch.where(number > 0, cosines.sum() / number.clamp(min=1), 1.0)
