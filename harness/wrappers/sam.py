"""Sharpness-aware minimisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.method import Step
from harness.plugin.wrapper import Backward, Loss, Wrapper
from harness.wrappers._moved import first_gradients, put_back


@dataclass(frozen=True, kw_only=True)
class SAM(Wrapper):
    """The gradient where the loss is higher nearby (Foret et al., ICLR 2021, arXiv:2010.01412, Algorithm 1, Eq. 2).

    Before each update, all weights together move by ``rho`` along the loss's gradient, in the 2-norm. The gradient for
    the update is computed there, on the same adversarial variants; then the weights are restored and the update is
    made from them.

    Departs: a network that several processes train moves along the gradient of the whole batch, where the paper has
    each device move along its own share's. The first pass does not change batch-norm's statistics. A method that draws
    random numbers besides ``step.perturb`` and ``step.uniform`` draws new ones in the second pass.

    Raises:
        PluginFault: no parameter has a gradient, so that SAM would have no effect.
    """

    bibtex = """
@inproceedings{foret2021sharpness,
  author    = {Pierre Foret and Ariel Kleiner and Hossein Mobahi and Behnam Neyshabur},
  title     = {Sharpness-Aware Minimization for Efficiently Improving Generalization},
  booktitle = {International Conference on Learning Representations},
  year      = {2021},
  eprint    = {2010.01412},
  archivePrefix = {arXiv},
}
"""

    rho: Annotated[float, Ge(0), Doc("length of the move of all weights together, in the 2-norm")] = 0.05

    def backward(self, step: Step, loss: Loss, inner: Backward) -> Tensor:
        replayed = step.replayable()
        weights = [p for p in step.model.parameters() if p.requires_grad]
        gradients = first_gradients("sam", "parameter", replayed, loss, weights)
        length = torch.stack([gradient.norm() for gradient in gradients if gradient is not None]).norm()
        with put_back(weights):
            with torch.no_grad():
                for weight, gradient in zip(weights, gradients, strict=True):
                    if gradient is not None:
                        weight.add_(gradient * (self.rho / (length + 1e-12)))
            return inner(replayed.rewound(), loss)
