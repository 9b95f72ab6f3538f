"""What decides a network's pass besides its tensors: its layers, their hooks, and their Python attributes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sized
from typing import Any

import numpy as np
from torch import Tensor, nn

_DEPTH, _LONGEST = 3, 64  # how far an attribute is looked into: a history of every step is no setting
_TENSORS = ("_parameters", "_buffers", "training")  # may change without a change of what is computed from them
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_KINDS, _MAPPINGS = frozenset(_PLAIN), frozenset((dict, OrderedDict))

Attributes = dict[str, Any]


def attributes(model: nn.Module) -> Attributes:
    """The attributes of each module by its name; equal to another such dictionary if none has changed in between.

    An object counts as the same if its own attributes are the same, down to a small depth; a tensor, a function, and a
    module count by identity, a tensor also by its version. Of parameters and buffers it counts which there are, and
    their types; modes are left out.
    """
    found: Attributes = {}
    for name, module in model.named_modules(remove_duplicate=False):
        own = {key: _value(value, _DEPTH) for key, value in vars(module).items() if key not in _TENSORS}
        own[""] = [
            (key, None if tensor is None else tensor.dtype)
            for tensors in (module._parameters, module._buffers)
            for key, tensor in tensors.items()
        ]
        found[name] = (id(module), type(module), own)
    return found


def _value(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _KINDS:  # asked first, and not by isinstance, since every attribute of every layer comes here
        return value
    if kind in _MAPPINGS and not value:  # most of a layer's: it has a dozen kinds of hooks
        return []
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Tensor):
        return id(value), 0 if value.is_inference() else value._version
    if isinstance(value, (nn.Module, np.ndarray)) or depth == 0:
        return id(value)
    if isinstance(value, Mapping) and len(value) <= _LONGEST:
        return [(_value(key, depth - 1), _value(each, depth - 1)) for key, each in value.items()]
    if isinstance(value, (list, tuple)):
        return [_value(each, depth - 1) for each in value] if len(value) <= _LONGEST else (id(value), len(value))
    inside = getattr(value, "__dict__", None)
    if isinstance(inside, dict) and not isinstance(value, type) and not callable(value):
        return type(value), _value(inside, depth - 1)
    return id(value), len(value) if isinstance(value, Sized) else 0
