"""An update's gradient inside the wrappers, and their contract: the gradient they leave, the weights they publish."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from harness.plugin.method import Step
from harness.plugin.wrapper import Backward, Loss, Wrapper
from harness.registry.faults import blaming, fault
from harness.registry.shipped import ships
from harness.runtime.process import process_kept
from harness.runtime.seeds import global_seed


def wrapped_backward(wrappers: Sequence[Wrapper], *, held: bool = False) -> Backward:
    """The function that computes an update's gradient: plain ``backward`` inside the wrappers, the last one outermost.

    Each wrapper adapts the step first, so that the order does not decide which of the loss's passes see the change.

    Args:
        held: check each wrapper's contract.
    """
    backward: Backward = _backward
    for wrapper in wrappers:
        backward = partial(partial(held_backward, wrapper) if held else wrapper.backward, inner=backward)

    def update(step: Step, loss: Loss) -> Tensor:
        for wrapper in wrappers:
            adapted: Any = wrapper.adapt(step)
            if held and not isinstance(adapted, Step):
                raise fault(wrapper, f"its adapt gives a {type(adapted).__name__}; give the step, or a copy of it")
            step = adapted
        return backward(step, loss)

    return update


def _backward(step: Step, loss: Loss) -> Tensor:
    value = loss(step)
    value.backward()  # type: ignore[no-untyped-call]
    return value.detach()


def held_backward(wrapper: Wrapper, step: Step, loss: Loss, inner: Backward) -> Tensor:
    """The wrapper's ``backward``, checked.

    Raises:
        PluginFault: it returns no detached scalar, or leaves no gradient, so that the update would change nothing.
    """
    value: Any = wrapper.backward(step, loss, inner)
    if not isinstance(value, Tensor) or value.shape != () or value.requires_grad:
        kind = f"tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        graph = " with a gradient" if isinstance(value, Tensor) and value.requires_grad else ""
        raise fault(wrapper, f"its backward gives a {kind}{graph}; give the loss, detached, as inner(step, loss) does")
    if all(parameter.grad is None for parameter in step.model.parameters()):
        raise fault(wrapper, "its backward leaves no gradient; call inner(step, loss)")
    return value


def published(wrappers: Sequence[Wrapper], model: nn.Module) -> dict[str, Tensor]:
    """The weights to save in a checkpoint: the model's, or those that the wrappers make from a copy of them.

    Raises:
        PluginFault: a wrapper's weights have other names, shapes, or types than the network's, or are not finite.
    """
    own = model.state_dict()
    weights = {name: tensor.clone() for name, tensor in own.items()} if wrappers else own
    for wrapper in wrappers:
        weights = wrapper.published(weights)
        problem = _problem(weights, own)
        if problem is not None:
            raise fault(wrapper, f"its published gives {problem}; give the weights of the whole network, by its names")
    return weights


def published_apart(wrappers: Sequence[Wrapper], model: nn.Module, device: torch.device) -> dict[str, Tensor]:
    """The weights that a checkpoint would hold now. What a wrapper remembers stays as it was."""
    theirs = [wrapper for wrapper in wrappers if not ships(type(wrapper))]
    with process_kept(), global_seed(device, 0), blaming(wrappers):
        kept = [copy.deepcopy(wrapper.state_dict()) for wrapper in theirs]
        weights = published(wrappers, model)
        for wrapper, state in zip(theirs, kept, strict=True):
            wrapper.load_state_dict(state)
    return weights


def _problem(weights: Any, own: dict[str, Tensor]) -> str | None:
    if not isinstance(weights, dict):
        return f"a {type(weights).__name__}"
    if weights.keys() != own.keys():
        return f"other names ({sorted(map(str, weights.keys() ^ own.keys()))[0]})"
    for name, tensor in weights.items():
        if not isinstance(tensor, Tensor):
            return f"{name} as a {type(tensor).__name__}"
        if (tensor.shape, tensor.dtype) != (own[name].shape, own[name].dtype):
            return f"{name} of shape {tuple(tensor.shape)} and type {tensor.dtype}"
        if not tensor.isfinite().all() and own[name].isfinite().all():
            return f"{name} with values that are not finite"
    return None
