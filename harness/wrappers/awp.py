"""Adversarial weight perturbation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Interval
from torch import Tensor
from typing_extensions import Doc

from harness.plugin.method import Step
from harness.plugin.wrapper import Backward, Loss, Wrapper
from harness.wrappers._moved import first_gradients, put_back


@dataclass(frozen=True, kw_only=True)
class AWP(Wrapper):
    """The gradient at adversarially perturbed weights (Wu et al., NeurIPS 2020, arXiv:2004.05884, Eq. 7-10).

    Before each update, each layer's weights move along the loss's gradient by ``gamma`` times the layer's norm. The
    gradient for the update is computed there, on the same adversarial variants; then the weights are restored and the
    update is made from them.

    Departs: as in the official code, there is one ascent step, and only tensors of two or more dimensions move; a
    tensor without gradient, as in a frozen layer, stays. The first pass, which finds the direction, does not change
    batch-norm's statistics; the official code uses a proxy network for it. A method that draws random numbers besides
    ``step.perturb`` and ``step.uniform`` draws new ones in the second pass.

    Raises:
        PluginFault: no tensor of the network can move, so that AWP would have no effect.
    """

    bibtex = """
@inproceedings{wu2020adversarial,
  author    = {Dongxian Wu and Shu-Tao Xia and Yisen Wang},
  title     = {Adversarial Weight Perturbation Helps Robust Generalization},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2020},
  eprint    = {2004.05884},
  archivePrefix = {arXiv},
}
"""

    gamma: Annotated[float, Ge(0), Doc("length of the perturbation, as a fraction of each layer's norm")] = 0.01
    warm_up: Annotated[float, Interval(ge=0, le=1), Doc("fraction of the training before it begins")] = 0.0

    def backward(self, step: Step, loss: Loss, inner: Backward) -> Tensor:
        if step.progress < self.warm_up:
            return inner(step, loss)
        replayed = step.replayable()
        layers = [p for p in step.model.parameters() if p.dim() > 1 and p.requires_grad]
        gradients = first_gradients("awp", "tensor of two or more dimensions", replayed, loss, layers)
        with put_back(layers):
            with torch.no_grad():
                for layer, gradient in zip(layers, gradients, strict=True):
                    if gradient is not None:
                        layer.add_(gradient * (self.gamma * layer.norm() / (gradient.norm() + 1e-20)))
            return inner(replayed.rewound(), loss)
