"""What an attack must not change in the network that it is given: weights, buffers, modes, layers, and hooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from harness.identity import same

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Untouched:
    """A record of a network (its tensors are copied), to compare the network with later.

    If an attack changed the network unnoticed, every later figure would be another network's.
    """

    def __init__(self, model: nn.Module) -> None:
        self._tensors = {name: tensor.detach().clone() for name, tensor in _tensors(model).items()}
        self._layers = _layers(model)

    def changed(self, model: nn.Module) -> set[str]:
        """The names of changed tensors, and of layers that are others, or whose mode, ``forward``, or hooks changed."""
        tensors, layers = _tensors(model), _layers(model)
        names = {n for n in self._layers.keys() | layers.keys() if self._layers.get(n) != layers.get(n)}
        for name in self._tensors.keys() | tensors.keys():
            before, now = self._tensors.get(name), tensors.get(name)
            if before is None or now is None or not same(before, now.detach()):
                names.add(name)
        return names


def _tensors(model: nn.Module) -> Mapping[str, Tensor]:
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _layers(model: nn.Module) -> Mapping[str, Any]:
    return {
        name or "the whole network": (
            module,
            module.training,
            vars(module).get("forward"),  # an instance's ``forward`` would override its class's
            *(list(vars(module).get(hooks, ())) for hooks in _HOOKS),
        )
        for name, module in model.named_modules()
    }
