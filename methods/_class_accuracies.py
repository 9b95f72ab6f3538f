"""What CFA and CFA-TRADES remember: each class's accuracy on its variants, over the epoch before."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Interval
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.method import Method, Step


@dataclass(frozen=True, kw_only=True)
class ClassCalibrated(Method, ABC):
    """Base of CFA and CFA-TRADES: the accuracy of each class in the epoch before, and the radius that it gives.

    The accuracy t_k of a class is the share of its images whose variant the update's own pass, in training mode,
    classifies rightly. It is counted in every epoch, and used in the next, once the burn-in is over.
    """

    bibtex = """
@inproceedings{wei2023cfa,
  author    = {Zeming Wei and Yifei Wang and Yiwen Guo and Yisen Wang},
  title     = {{CFA}: Class-wise Calibrated Fair Adversarial Training},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year      = {2023},
  pages     = {8193--8201},
  eprint    = {2303.14460},
  archivePrefix = {arXiv},
}
"""

    least_radius: Annotated[
        float, Ge(0), Doc("lambda_1: the factor of the radius of a class with accuracy 0; it grows by the accuracy")
    ] = 0.5
    burn_in: Annotated[
        float,
        Interval(ge=0, le=1),
        Doc("fraction of the training with one radius for all classes (released: 10 of 200 epochs)"),
    ] = 0.05

    def factors(self, step: Step, least: float) -> Tensor:
        """``(batch,)`` least + t_k for the class k of each image; 1 in the burn-in, and where t_k is unknown."""
        known = self._known(step)
        if known is None or step.progress < self.burn_in:
            return torch.ones_like(step.y, dtype=step.x.dtype)
        of_classes = torch.where(known.isnan(), 1.0, least + known)
        return of_classes[step.y].to(step.x.dtype)

    def radii(self, step: Step) -> Tensor:
        """``(batch,)`` factors of the radius. Logs the least and the largest."""
        radii = self.factors(step, self.least_radius)
        step.log("radius_factor_min", radii.amin())
        step.log("radius_factor_max", radii.amax())
        return radii

    def learn(self, step: Step, adversarial: Tensor) -> None:
        """Count the batch's variants that are classified rightly, class by class.

        Args:
            adversarial: ``(batch, classes)`` logits of the variants, from the update's own pass.
        """
        classes = torch.arange(adversarial.shape[1], device=step.y.device)
        of_class = step.y[:, None] == classes
        right = adversarial.detach().argmax(1) == step.y
        for name, counted in (("seen", of_class), ("right", of_class & right[:, None])):
            counts = counted.sum(0)
            self.memory[name] = self.memory[name] + counts if name in self.memory else counts

    def _known(self, step: Step) -> Tensor | None:
        """``(classes,)`` float64 accuracies of the epoch before, NaN for a class that never had an image, or None."""
        if self.memory.get("epoch") != step.epoch:
            if "seen" in self.memory:
                seen, right = self.memory.pop("seen"), self.memory.pop("right")
                older = self.memory.get("accuracy", torch.full_like(seen, torch.nan, dtype=torch.float64))
                self.memory["accuracy"] = torch.where(seen > 0, right / seen.double(), older)
            self.memory["epoch"] = step.epoch
        known: Tensor | None = self.memory.get("accuracy")
        return known
