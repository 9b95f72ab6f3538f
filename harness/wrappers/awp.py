"""Adversarial weight perturbation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn
from typing_extensions import Doc

from harness.errors import PluginFault
from harness.plugin.method import Step
from harness.plugin.wrapper import Backward, Loss, Wrapper


@dataclass(frozen=True, kw_only=True)
class AWP(Wrapper):
    """The gradient at weights that one step has made worse (Wu et al., NeurIPS 2020, arXiv:2004.05884, Eq. 7-10).

    Before each update the weights move along the loss's gradient, layer by layer, by ``gamma`` of the layer's norm;
    the gradient is taken there, on the same adversarial variants, and applied to the weights where they were.

    Departs: as in the official code, one ascent step, and only tensors of two or more dimensions move; one without
    gradient, such as a frozen layer's, stays. The first pass, which finds the direction, leaves batch-norm's statistics
    alone, as the official code's proxy network does; a method that draws random numbers besides ``step.perturb`` draws
    new ones in the second pass.

    Raises:
        PluginFault: no tensor of the network could move, so that the training would be one without AWP.
    """

    gamma: Annotated[float, Ge(0), Doc("length of the perturbation, as a fraction of each layer's norm")] = 0.01
    warm_up: Annotated[float, Interval(ge=0, le=1), Doc("fraction of the training before it begins")] = 0.0

    def backward(self, step: Step, loss: Loss, inner: Backward) -> Tensor:
        if step.progress < self.warm_up:
            return inner(step, loss)
        replayed = step.replayable()
        layers = [p for p in step.model.parameters() if p.dim() > 1 and p.requires_grad]
        buffers = {name: buffer.clone() for name, buffer in step.model.named_buffers()}
        gradients = torch.autograd.grad(loss(replayed), layers, allow_unused=True) if layers else ()
        if all(gradient is None for gradient in gradients):
            raise PluginFault(
                "wrapper 'awp' finds nothing to perturb: no tensor of two or more dimensions of this network has a"
                " gradient; train it without --wrap awp, or do not freeze all its layers"
            )
        _restore_buffers(step.model, buffers)
        before = [layer.detach().clone() for layer in layers]
        with torch.no_grad():
            for layer, gradient in zip(layers, gradients, strict=True):
                if gradient is not None:
                    layer.add_(gradient * (self.gamma * layer.norm() / (gradient.norm() + 1e-20)))
        value = inner(replayed.rewound(), loss)
        with torch.no_grad():
            for layer, weights in zip(layers, before, strict=True):
                layer.copy_(weights)
        return value


def _restore_buffers(model: nn.Module, buffers: dict[str, Tensor]) -> None:
    for name, buffer in model.named_buffers():
        if name in buffers:  # not a table that the first pass has built
            buffer.copy_(buffers[name])
