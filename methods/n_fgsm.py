"""Noise-FGSM: one step from a point beyond the ball."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.adversary import CrossEntropy
from harness.plugin.ball import ball_of
from harness.plugin.method import Method, Step


@dataclass(frozen=True, kw_only=True)
class NFGSM(Method):
    """Cross-entropy after noise, and one step from there that nothing projects (de Jorge et al., NeurIPS 2022, Alg. 1).

    x' = x + eta + alpha epsilon d, eta uniform in the ball of ``k`` radii, d the direction of steepest ascent at
    x + eta (in L-infinity, the gradient's sign). So x' may be ``k + alpha`` radii away from x. Of the training budget
    the method reads the norm and the radius alone.

    Departs: the gradient is taken in evaluation mode, as for every variant here; the released code takes it in training
    mode. As in that code, the noisy image and x' are clipped to [0, 1], which Algorithm 1 does not say. The paper has
    the L-infinity ball alone; in another norm noise and step are those of that norm.
    """

    formula = "l(f(x'), y); x' = x + eta + alpha epsilon sign(grad l(f(x + eta), y)), eta uniform in k epsilon"
    bibtex = """
@inproceedings{dejorge2022make,
  author    = {Pau de Jorge and Adel Bibi and Riccardo Volpi and Amartya Sanyal and Philip H. S. Torr
               and Gr{\\'e}gory Rogez and Puneet K. Dokania},
  title     = {Make Some Noise: Reliable and Efficient Single-Step Adversarial Training},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2022},
  eprint    = {2202.01181},
  archivePrefix = {arXiv},
}
"""

    alpha: Annotated[float, Ge(0), Doc("length of the step, as a multiple of the training radius")] = 1.0
    k: Annotated[float, Ge(0), Doc("reach of the noise, as a multiple of the training radius")] = 2.0

    def loss(self, step: Step) -> Tensor:
        ball = ball_of(step.threat.norm)
        far = self.k * step.threat.epsilon
        noisy = ball(step.x, far).project(step.uniform(far))
        reach = self.alpha * step.threat.epsilon
        # one step around the noisy image, in a ball that just holds it: nothing but [0, 1] bounds it
        threat = replace(step.threat, epsilon=min(reach, ball.widest), steps=1, step_size=reach, start="none")
        variant = replace(step, x=noisy).perturb(CrossEntropy(), threat=threat)
        return step.cross_entropy(step.model(variant.x)).mean()
