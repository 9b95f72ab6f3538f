"""Robust soft label adversarial distillation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.given import Trained
from harness.plugin.method import Method, Step
from harness.plugin.soft_labels import FromSoftLabels, answers, distilled


@dataclass(frozen=True, kw_only=True)
class RSLAD(Method):
    """A robust teacher's soft labels of the image, and no hard labels, craft and train (Zi et al., ICCV 2021, Eq. 7-8).

    loss = (1 - alpha) KL(T(x) || S(x)) + alpha KL(T(x) || S(x_adv)). The variant ascends KL(T(x) || S(x_adv)), so T(x)
    is computed once. The temperature is 1.

    Departs: the authors' code takes the mean over all entries, which divides both terms by the number of classes, and
    adds 0.00001 within the logarithm of T(x), which has no gradient; here it is the mean over the images. The start is
    the protocol's; that code's is Gaussian.
    """

    formula = "(1 - alpha) KL(T(x) || S(x)) + alpha KL(T(x) || S(x')); x' ascends KL(T(x) || S(x'))"
    bibtex = """
@inproceedings{zi2021revisiting,
  author    = {Bojia Zi and Shihao Zhao and Xingjun Ma and Yu-Gang Jiang},
  title     = {Revisiting Adversarial Robustness Distillation: Robust Soft Labels Make Student Better},
  booktitle = {IEEE/CVF International Conference on Computer Vision},
  year      = {2021},
  eprint    = {2108.07969},
  archivePrefix = {arXiv},
}
"""

    teacher: Annotated[Trained, Doc("a robust network that was trained before")] = ""
    alpha: Annotated[float, Interval(ge=0, le=1), Doc("weight of the variant's term against the image's")] = 5 / 6

    def loss(self, step: Step) -> Tensor:
        taught = answers(self.networks["teacher"], step.x)
        variant = step.perturb(FromSoftLabels(taught))
        adversarial, clean = step.model(variant.x), step.model(step.x)
        on_variant, on_image = distilled(taught, adversarial), distilled(taught, clean)
        return (self.alpha * on_variant + (1 - self.alpha) * on_image).mean()
