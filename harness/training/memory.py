"""Check that what plugins remember can be saved, so that a stopped training can resume."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn

from harness.plugin.settings import Plugin
from harness.plugin.state import Stateful
from harness.registry.faults import fault

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


def require_savable(plugins: Sequence[Plugin]) -> None:
    """Refuse a memory from which a stopped training could not resume.

    Args:
        plugins: a method and wrappers.
    Raises:
        PluginFault: a memory holds something that cannot be saved; see ``unsavable``.
    """
    for plugin in plugins:
        problem = unsavable(cast(Stateful, plugin))
        if problem is not None:
            raise fault(plugin, problem)


def unsavable(part: Stateful) -> str | None:
    """A message about a part of the memory that ``torch.load(weights_only=True)`` would not restore; None if none."""
    state: Any = part.state_dict()
    if type(state) is not dict:
        return f"its state_dict gives a {type(state).__name__}; give a dict"
    for name, value in state.items():
        kind = _odd(value)
        if kind is not None:
            return (
                f"its memory {name!r} holds {kind}, which a checkpoint does not give back; keep tensors, numbers,"
                " strings, networks, and lists, tuples, dicts, and sets of the first three"
            )
    for name, kept in () if part.saves_itself else part.memory.items():
        if name in part.beside:  # the engine empties its gradients before each update
            continue
        if isinstance(kept, nn.Module) and any(parameter.grad is not None for parameter in kept.parameters()):
            return (
                f"its memory {name!r} holds a gradient (.grad), which a checkpoint does not give back; take gradients"
                " with torch.autograd.grad, and freeze a network that needs none with requires_grad_(False)"
            )
    return None


def _odd(value: Any) -> str | None:
    """The first part of a value that would not be equal after a save and a load; None if there is none."""
    if type(value) in _PLAIN:
        return None
    if type(value) in (Tensor, nn.Parameter):
        if value.grad_fn is not None:
            return "a tensor with a gradient's graph (detach it)"
        return None if value.grad is None else "a tensor with a gradient in .grad (use torch.autograd.grad)"
    if type(value) in (list, tuple, set):
        return next(filter(None, map(_odd, value)), None)
    if type(value) in (dict, OrderedDict):
        return next(filter(None, map(_odd, (*value, *value.values()))), None)
    return f"a {type(value).__module__}.{type(value).__qualname__}".replace("a builtins.", "a ")
