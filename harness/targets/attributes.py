"""What identifies a live module besides its tensors and its source: the plain attributes of its parts.

A factory's numbers stand in its source. Those of a live module, such as a temperature or a stride, stand in attributes,
which any code may have set. Each is described in JSON types, or the module is refused: an attribute that is left out
could make two models one.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import math
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor, nn

from harness.targets.target import TargetError

_OWN = frozenset(vars(nn.Module()))  # what every module has: parameters, buffers, parts, hooks, mode
_HOOKS = tuple(sorted(name for name in _OWN if name.endswith("_hooks")))
_DEPTH = 8  # of values in values


class _Unknown(Exception):
    """A value that cannot be described."""


def described(module: nn.Module, label: str) -> tuple[list[Any], list[Callable[..., Any]]]:
    """The classes, plain attributes, and hooks of a module and of its parts, in JSON types; and the functions in them.

    Raises:
        TargetError: a value cannot be described; names it.
    """
    document: list[Any] = []
    functions: list[Callable[..., Any]] = []
    for name, part in module.named_modules(remove_duplicate=False):
        if isinstance(part, (torch.jit.ScriptModule, torch.fx.GraphModule)):
            raise TargetError(
                f"{label} cannot be kept in a database: the code of its part {name or 'itself'!r}, a"
                f" {type(part).__name__}, was generated and is in no file; save it, and name the file as the model"
            )
        attributes = {}
        for key, value in _attributes(part):
            try:
                attributes[key] = _json(value, functions, 0)
            except _Unknown as unknown:
                where = f"{name}.{key}" if name else key
                raise TargetError(
                    f"{label} cannot be kept in a database: its attribute {where} is {unknown}, which nothing"
                    " identifies; make it a parameter, a buffer, a number, or a text, or leave db out"
                ) from None
        document.append([name, f"{type(part).__module__}.{type(part).__qualname__}", attributes])
    return document, functions


def _attributes(part: nn.Module) -> Iterator[tuple[str, Any]]:
    """The attributes of one part, without its tensors, parts, and mode; private ones of torch's classes are derived."""
    torchs = type(part).__module__.startswith("torch.")
    for key, value in sorted(vars(part).items()):
        if key not in _OWN and not (torchs and key.startswith("_")):
            yield key, value
    for key in _HOOKS:
        if hooks := list(vars(part)[key].values() if isinstance(vars(part)[key], Mapping) else ()):
            yield key, hooks


def _json(value: Any, functions: list[Callable[..., Any]], depth: int) -> Any:
    """A value in JSON types; ``functions`` gets every function in it."""
    if depth > _DEPTH:
        raise _Unknown("nested too deeply, or contains itself")
    inner = functools.partial(_json, functions=functions, depth=depth + 1)
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if value is None or isinstance(value, (bool, str)) or type(value) is int:
        return value
    if isinstance(value, (float, complex)):
        return {"number": repr(value) if not (isinstance(value, float) and math.isnan(value)) else "nan"}
    if isinstance(value, (list, tuple)):
        return {kind: [inner(item) for item in value]}
    if isinstance(value, (set, frozenset)):
        return {kind: sorted(map(repr, map(inner, value)))}
    if isinstance(value, Mapping):
        return {kind: [[inner(key), inner(item)] for key, item in value.items()]}
    if isinstance(value, Tensor) and value.layout == torch.strided:
        content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        return {kind: [list(value.shape), str(value.dtype), hashlib.sha256(content).hexdigest()]}
    if type(value).__module__ == "numpy" and hasattr(value, "tobytes") and value.dtype != object:
        return {kind: [list(value.shape), str(value.dtype), hashlib.sha256(value.tobytes()).hexdigest()]}
    if isinstance(value, (torch.dtype, torch.device, torch.Size, PurePath, bytes, slice, range, enum.Enum)):
        return {kind: str(value)}
    if isinstance(value, type):
        functions.append(value)
        return {"class": f"{value.__module__}.{value.__qualname__}"}
    if isinstance(value, functools.partial):
        return {kind: [inner(value.func), inner(value.args), inner(value.keywords)]}
    if isinstance(value, types.MethodType):
        owner = "a module" if isinstance(value.__self__, nn.Module) else inner(value.__self__)
        return {"method": [inner(value.__func__), owner]}
    if isinstance(value, types.FunctionType):
        functions.append(value)
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        code = hashlib.sha256(repr(_code(value.__code__)).encode()).hexdigest()
        return {
            "function": [
                value.__module__,
                value.__qualname__,
                code,
                *map(inner, (value.__defaults__, value.__kwdefaults__, cells)),
            ]
        }
    if isinstance(value, types.BuiltinFunctionType):
        return {"function": [str(value.__module__), value.__qualname__]}
    raise _Unknown(f"a {type(value).__name__}")


def _code(code: types.CodeType) -> tuple[Any, ...]:
    """What a function does, without where it stands: its bytecode, names, and constants."""
    consts = tuple(_code(each) if isinstance(each, types.CodeType) else repr(each) for each in code.co_consts)
    return (code.co_code.hex(), code.co_names, code.co_varnames, consts)
