"""What the wrappers share that compute an update's gradient at other weights, and then put the weights back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from harness.errors import PluginFault
from harness.plugin.method import ReplayableStep
from harness.plugin.wrapper import Loss


def first_gradients(
    name: str, what: str, step: ReplayableStep, loss: Loss, parameters: Sequence[nn.Parameter]
) -> tuple[Tensor | None, ...]:
    """The loss's gradient at the present weights, None for a parameter without; batch-norm's statistics stay.

    Args:
        name, what: the wrapper's name, and what it perturbs, for the error.
    Raises:
        PluginFault: no parameter has a gradient, so that the wrapper would have no effect.
    """
    buffers = {key: buffer.clone() for key, buffer in step.model.named_buffers()}
    gradients = torch.autograd.grad(loss(step), parameters, allow_unused=True) if parameters else ()
    if all(gradient is None for gradient in gradients):
        raise PluginFault(
            f"wrapper {name!r} finds nothing to perturb: no {what} of this network has a gradient;"
            f" train it without --wrap {name}, or do not freeze all its layers"
        )
    for key, buffer in step.model.named_buffers():
        if key in buffers:  # not a buffer that the pass has added
            buffer.copy_(buffers[key])
    return gradients


@contextlib.contextmanager
def put_back(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Give the parameters their present values again after the body, to the last bit."""
    before = [parameter.detach().clone() for parameter in parameters]
    yield
    with torch.no_grad():
        for parameter, weights in zip(parameters, before, strict=True):
            parameter.copy_(weights)
