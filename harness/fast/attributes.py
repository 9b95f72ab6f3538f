"""What decides a network's pass besides its tensors: its layers, their hooks, and their Python attributes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sized
from functools import partial
from hashlib import sha256
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any
from weakref import ref

import numpy as np
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks

_DEPTH, _LONGEST = 3, 64  # how far an attribute is looked into: a history of every step is no setting
_TENSORS = ("_parameters", "_buffers", "training")  # may change without a change of what is computed from them
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_KINDS, _MAPPINGS = frozenset(_PLAIN), frozenset((dict, OrderedDict))

_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType, partial)

Attributes = dict[str, Any]


class Identity(int):
    """An address, or a length: it tells objects of this process apart, and means nothing in another."""


class TensorIdentity:
    """Which tensor it is, and its version. It keeps no tensor alive, and equals none that has a freed one's address."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor, self._version = ref(tensor), 0 if tensor.is_inference() else tensor._version

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorIdentity) or self._version != other._version:
            return False
        tensor = self._tensor()
        return tensor is not None and tensor is other._tensor()

    __hash__ = None  # type: ignore[assignment]


def attributes(model: nn.Module) -> Attributes:
    """The attributes of each module by its name; equal to another such dictionary if none has changed in between.

    An object counts as the same if its own attributes are the same, down to a small depth; a tensor, a function, and a
    module count by identity, a tensor also by its version; a small array and a small set by what is in them. Of
    parameters and buffers it counts which there are, their types, and their shapes; modes are left out.
    """
    found: Attributes = {"hooks of every module": [Identity(count) for count in hooks_of_every_module()]}
    for name, module in model.named_modules(remove_duplicate=False):
        own = {key: _value(value, _DEPTH) for key, value in vars(module).items() if key not in _TENSORS}
        own[""] = [
            (key, None if tensor is None else (tensor.dtype, tensor.shape))
            for tensors in (module._parameters, module._buffers)
            for key, tensor in tensors.items()
        ]
        found[name] = (Identity(id(module)), type(module), own)
    return found


def hooks_of_every_module() -> list[int]:
    """How many hooks of each kind torch calls for all modules of the process."""
    kinds = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
    return [len(getattr(module_hooks, f"_global_{kind}")) for kind in kinds]


def plain_digest(found: Attributes) -> str:
    """A digest of the attributes that are numbers and texts; two processes may compare theirs."""
    return sha256(repr(_only(found, plain=True)).encode()).hexdigest()


def exchanged(before: Attributes, now: Attributes) -> bool:
    """Whether anything but numbers and texts has changed: a layer, a hook, a tensor."""
    return bool(_only(before, plain=False) != _only(now, plain=False))


def _only(value: Any, *, plain: bool) -> Any:
    """The part of a value that is plain, or that is not; None stands in for the other part."""
    if isinstance(value, dict):
        parts = {key: _only(each, plain=plain) for key, each in value.items()}
        return {key: part for key, part in parts.items() if part is not None}
    if isinstance(value, (list, tuple)):
        return [_only(each, plain=plain) for each in value]
    return value if plain == (isinstance(value, _PLAIN) and not isinstance(value, Identity)) else None


def _value(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _KINDS:  # asked first, and not by isinstance, since every attribute of every layer comes here
        return value
    if kind in _MAPPINGS and not value:  # most of a layer's: it has a dozen kinds of hooks
        return []
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Tensor):
        return TensorIdentity(value)
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.size <= _LONGEST):
        return Identity(id(value) if isinstance(value, np.ndarray) else 0), value.dtype.str, value.tobytes()
    if isinstance(value, (nn.Module, np.ndarray)) or depth == 0:
        return Identity(id(value))
    if isinstance(value, (set, frozenset)) and len(value) <= _LONGEST:
        return sorted(repr(_value(each, depth - 1)) for each in value)
    if isinstance(value, Mapping) and len(value) <= _LONGEST:
        return [(_value(key, depth - 1), _value(each, depth - 1)) for key, each in value.items()]
    if isinstance(value, (list, tuple)):
        return [_value(each, depth - 1) for each in value] if len(value) <= _LONGEST else _sized(value)
    inside = getattr(value, "__dict__", None)
    if isinstance(inside, dict) and not isinstance(value, (type, *_FUNCTIONS)):
        return type(value), _value(inside, depth - 1)
    return _sized(value)


def _sized(value: Any) -> tuple[Identity, Identity]:
    return Identity(id(value)), Identity(len(value) if isinstance(value, Sized) else 0)
