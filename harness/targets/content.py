"""What a weights file holds, whatever its layout: state dicts, and other values, each at its address.

The address of a tensor or a value is every part of its name from the top of the file: the keys of the mappings around
it, and the parts of a dotted name. ``{"model": {"module.fc.weight": w}}`` has w at ``model.module.fc.weight``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from harness.errors import near_misses
from harness.targets.target import TargetError, conversions

Address = tuple[str, ...]

NESTS = (  # where training scripts put the state dict
    *("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "student"),
    *("ema", "model_ema", "ema_state_dict", "state_dict_ema", "ema_model", "shadow", "best", "last"),
    *("swa", "swa_state_dict", "swa_model", "model_swa", "averaged_model"),
)
_TRAINING = re.compile(r"optim(?!al|um|i[sz]ed)|schedule")
TOP = "."  # how a user names the top of a file
_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_DEPTH = 8  # of nested mappings
_SHOWN = 6


@dataclass(frozen=True)
class StateDict:
    """Tensors by their dotted names, without torch.compile's ``_orig_mod.``."""

    path: Address  # the keys of the mappings in which the file keeps it; empty for the top
    tensors: dict[str, Tensor]

    def address(self, name: str) -> Address:
        """The address of a tensor, or of a prefix of names with or without its last dot."""
        return (*self.path, *(name.removesuffix(".").split(".") if name else ()))

    def within(self, scope: Address) -> dict[str, Tensor]:
        """The tensors at or below an address."""
        return {name: t for name, t in self.tensors.items() if self.address(name)[: len(scope)] == scope}


@dataclass(frozen=True, eq=False)
class Place:
    """Where the tensors of a network lie in a file."""

    state: StateDict
    names: Mapping[str, str]  # the name in the state dict for each of the network's names that the state dict has
    prefix: str  # what stands before the network's names in the state dict; empty, or it ends with a dot
    key: Address | None  # the address of this network alone; None if the file has other names than the network

    @property
    def address(self) -> Address:
        """The key, else the address of the first tensor."""
        return self.state.address(next(iter(self.names.values()))) if self.key is None else self.key

    @cached_property
    def own(self) -> frozenset[str]:
        """The names of the network's tensors in the state dict."""
        return frozenset(self.names.values())


@dataclass(frozen=True)
class Leaf:
    """A value of a file that is not a mapping: the keys of the mappings around it, and its own dotted name."""

    path: Address
    name: str
    value: Any

    @property
    def address(self) -> Address:
        return (*self.path, *self.name.split("."))


def state_dicts(content: Any, label: str) -> list[StateDict]:
    """Every state dict, under whatever keys: a mapping of names to tensors, at least one of them not a scalar.

    A list of tensors is a state dict, too, if one of them has two dimensions or more; its names are numbers. The state
    of an optimiser or a scheduler is not a state dict.

    Raises:
        TargetError: there is none, or two tensors with the same address differ.
    """
    found: dict[Address, dict[str, Tensor]] = {}
    for path, name, tensor in (each for leaf in leaves(content) for each in _tensors(leaf)):
        there = found.setdefault(path, {})
        if name in there and (there[name].dtype != tensor.dtype or not torch.equal(there[name], tensor)):
            raise TargetError(
                f"two tensors of the file have the name {spelled((*path, name))}, and they differ; save one state dict,"
                " torch.save(model.state_dict(), FILE)"
            )
        there[name] = tensor
    states = [StateDict(path, tensors) for path, tensors in found.items() if not of_training(path)]
    states = [state for state in states if any(tensor.ndim for tensor in state.tensors.values())]
    if not states:
        holds = f"a {type(content).__name__}, and no state dict"
        if isinstance(content, Mapping):
            keys = ", ".join(shortened([str(key) for key in content]))
            holds = f"no state dict, only {f'the keys {keys}' if keys else 'an empty mapping'}"
        raise TargetError(f"{label} holds {holds}; save one, torch.save(model.state_dict(), FILE)")
    return states


def _tensors(leaf: Leaf) -> Iterator[tuple[Address, str, Tensor]]:
    """The tensors of a value, each with the path of its state dict and its name there."""
    if isinstance(leaf.value, Tensor):
        yield leaf.path, leaf.name, leaf.value
    elif isinstance(leaf.value, (list, tuple)):
        listed = [value for value in leaf.value if isinstance(value, Tensor)]
        if len(listed) == len(leaf.value) and any(tensor.ndim > 1 for tensor in listed):
            yield from ((leaf.address, str(number), tensor) for number, tensor in enumerate(listed))


def of_training(address: Address) -> bool:
    """Whether an address lies in the state of an optimiser or a scheduler, by its keys and names."""
    return any(_TRAINING.search(part.lower()) for part in address)


def leaves(content: Any, path: Address = ()) -> Iterator[Leaf]:
    """Every value in mappings and in lists of mappings. Any other list is a value itself."""
    for key, value in _items(content):
        if len(path) < _DEPTH and _items(value):
            yield from leaves(value, (*path, *key.split(".")))
        else:
            yield Leaf(path, key.replace("_orig_mod.", ""), value)


def _items(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(key), inner) for key, inner in value.items()]
    if isinstance(value, (list, tuple)) and any(isinstance(inner, Mapping) for inner in value):
        return [(str(number), inner) for number, inner in enumerate(value)]
    return []


def spelled(address: Address) -> str:
    """An address as a user writes it after ``FILE:``."""
    return ".".join(address) or TOP


def common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many parts two addresses share at their beginning."""
    same = [a == b for a, b in zip(one, other, strict=False)]
    return same.index(False) if False in same else len(same)


def scope_of(states: Sequence[StateDict], key: str, file: str) -> Address:
    """The address that a user's KEY means: a full address, or else the end of one.

    Raises:
        TargetError: no address fits, or several do.
    """
    wanted = () if key == TOP else tuple(key.replace("_orig_mod.", "").split("."))
    whole = [state.address(name) for state in states for name in state.tensors]
    known = dict.fromkeys(address[:length] for address in whole for length in range(len(address)))
    ends = [address for address in known if address[-len(wanted) :] == wanted]
    if wanted in known or len(ends) == 1:
        return wanted if wanted in known else ends[0]
    if ends:
        raise TargetError(f"{file} has {len(ends)} parts named {key}; say which: {choices(file, ends)}")
    there = ", ".join(spelled(state.path) for state in states) or "none"
    texts = {".".join(address[start:]): address for address in known for start in range(len(address))}
    near = [texts[text] for text in near_misses(key, texts, most=1)]
    hint = f"; did you mean {choices(file, near)}?" if near else ""
    raise TargetError(f"{file} has no state dict under the key {key!r}; it has: {there}{hint}")


def choices(file: str, addresses: Sequence[Address]) -> str:
    """The targets that a user may type to choose one of these addresses."""
    return " or ".join(shortened([f"{file}:{spelled(address)}" for address in dict.fromkeys(addresses)]))


def shortened(texts: Sequence[str]) -> list[str]:
    """The first few texts, and how many more there are."""
    return [*texts[:_SHOWN], f"{len(texts) - _SHOWN} more"] if len(texts) > _SHOWN + 1 else list(texts)


def place_at(names: Iterable[str], state: StateDict, prefix: str) -> Place:
    """The place of a network behind a prefix, with those of its names that the state dict has."""
    there = {name: f"{prefix}{name}" for name in names if f"{prefix}{name}" in state.tensors}
    return Place(state, there, prefix, state.address(prefix))


def dense(place: Place, built: Mapping[str, Tensor], label: str) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors at a place, by the network's names, in float32; and the other floating types that they had.

    Raises:
        TargetError: a tensor is sparse, quantised, or complex, or has values that are not finite; or it is stored as
            integers or one-byte floats, as quantised weights are, where the network has floating point.
    """
    kept: dict[str, Tensor] = {}
    for own, name in place.names.items():
        tensor = place.state.tensors[name]
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            raise TargetError(f"{label}: {name} is {tensor.dtype} {tensor.layout}; only dense real tensors can be read")
        if built[own].is_floating_point() and tensor.dtype not in _FLOATING:
            raise TargetError(
                f"{label}: {name} is {str(tensor.dtype).removeprefix('torch.')}, and the network computes in floating"
                " point; such weights are most likely quantised: save them in floating point"
            )
        kept[own] = tensor.detach().float() if tensor.is_floating_point() else tensor.detach()
        if tensor.is_floating_point() and not bool(kept[own].isfinite().all()):
            raise TargetError(f"{label}: {name} has NaN or infinity in it; take another checkpoint")
    return kept, conversions(place.state.tensors[name] for name in place.names.values())
