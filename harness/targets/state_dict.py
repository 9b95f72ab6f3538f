"""From what a file holds to a state dict: found among the keys, stripped of what encloses it, brought to float32."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from harness.targets.errors import TargetError
from harness.targets.normalisation import pairs_in_front

NESTS = (  # where training scripts put the state dict
    *("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "student"),
    *("ema", "model_ema", "ema_state_dict", "state_dict_ema", "ema_model", "shadow", "best", "last"),
    *("swa", "swa_state_dict", "swa_model", "model_swa", "averaged_model"),
)
# what tools leave beside the weights: of weight averaging, of counting operations
_BOOKKEEPING = ("n_averaged", "total_ops", "total_params")
# what stands beside a network in one state dict and plays no part in its answers: copies, losses, measures
_BESIDE = re.compile(
    r"attacker|(?:model_?)?(?:ema|swa)(?:_?model)?|averaged_model|teacher(?:_model)?"
    r"|criterion|loss(?:_?f(?:n|unc))?|(?:train_|val(?:id)?_|test_)?(?:acc(?:uracy)?|metrics?|loss|confmat)"
)
_DEPTH = 3  # of mappings in which state dicts are looked for
_TOLD = 4


@dataclass(frozen=True)
class Held:
    """One state dict of a file.

    Attributes:
        path: the dotted keys under which it lies; empty for the top.
        prefix: what the user's key took from the beginning of every name, where it was a prefix.
        others: the paths of the other state dicts in the file.
        around: the whole state dict, where a prefix chose a part of it; empty where nothing was left out.
    """

    tensors: dict[str, Tensor]
    path: str
    prefix: str = ""
    others: tuple[str, ...] = ()
    around: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """One way to read the tensors: without what encloses the network, and without what stands beside it.

    Attributes:
        prefix: what was taken from the beginning of every name.
        left_out: names of the tensors that are not the network's: a normalising layer, copies, losses.
    """

    tensors: dict[str, Tensor]
    prefix: str = ""
    left_out: tuple[str, ...] = ()


def unnest(content: Any, key: str | None, label: str) -> Held:
    """The state dict within what a file holds.

    Args:
        key: under which key, or with which prefix of its names, where the user says; else the usual keys are tried.
    Raises:
        TargetError: there is none, or there are several.
    """
    if not isinstance(content, Mapping):
        raise TargetError(
            f"{label} holds a {type(content).__name__}, and no state dict; save one:"
            " torch.save(model.state_dict(), FILE)"
        )
    everything = dict(_state_dicts(content))
    if key is not None:
        return _chosen(everything, key, label)
    found = {path: tensors for path, tensors in everything.items() if _is_usual(path)} or everything
    if "" in everything:  # tensors beside other mappings, such as a mean and a deviation, are not yet weights
        found = {"": everything[""]} if len(everything) == 1 else {p: t for p, t in found.items() if p}
    if not found:
        raise TargetError(
            f"{label} holds no state dict, only {_some_keys(content)}; save one, torch.save(model.state_dict(), FILE)"
        )
    if len(found) > 1:
        choices = " or ".join(f"{label}:{path}" for path in found)
        raise TargetError(f"{label} holds {len(found)} state dicts; say which one: {choices}")
    ((path, tensors),) = found.items()
    return Held(tensors, path, others=tuple(other for other in everything if other not in (path, "")))


def _chosen(everything: dict[str, dict[str, Tensor]], key: str, label: str) -> Held:
    """The state dict under a key, or what has a prefix within one."""
    file = label.removesuffix(f":{key}")
    under = {path: tensors for path, tensors in everything.items() if path == key or path.startswith(f"{key}.")}
    prefix = f"{key}."
    within = {
        path: {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
        for path, tensors in everything.items()
        if any(name.startswith(prefix) for name in tensors)
    }
    found = under or within
    if not found:
        known = ", ".join(path or "(top)" for path in everything) or "none"
        begin = dict.fromkeys(name.partition(".")[0] for tensors in everything.values() for name in tensors)
        raise TargetError(
            f"{label} has no state dict under the key {key!r}; it has: {known}; and no names that begin with {key}.;"
            f" they begin with {', '.join(list(begin)[:_TOLD])}"
        )
    if len(found) > 1:
        choices = " or ".join(f"{file}:{path}" for path in found)
        raise TargetError(f"{label} holds {len(found)} state dicts; say which one: {choices}")
    ((path, tensors),) = found.items()
    others = tuple(other for other in everything if other not in (path, ""))
    return Held(tensors, path, "", others) if under else Held(tensors, path, prefix, others, everything[path])


def _is_usual(path: str) -> bool:
    return all(part in NESTS for part in path.split("."))


def _state_dicts(content: Mapping[Any, Any], depth: int = _DEPTH) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every state dict, under whatever keys: a mapping of names to tensors, of which one has a dimension."""
    tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if any(tensor.ndim for tensor in tensors.values()):
        yield "", tensors
    for key, value in content.items():
        if depth and isinstance(key, str) and isinstance(value, Mapping):
            yield from ((f"{key}.{path}" if path else key, inner) for path, inner in _state_dicts(value, depth - 1))


def _some_keys(content: Mapping[Any, Any]) -> str:
    keys = [str(key) for key in content]
    more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
    return f"the keys {', '.join(keys[:5])}{more}" if keys else "an empty mapping"


def clean(tensors: dict[str, Tensor], label: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Dense float32 tensors without bookkeeping, and what was done.

    Raises:
        TargetError: a tensor is sparse, quantised, complex, or has values that are not finite.
    """
    kept: dict[str, Tensor] = {}
    dropped, converted = [], set()
    for name, tensor in tensors.items():
        plain = name.replace("_orig_mod.", "")  # torch.compile's, at any depth
        if plain.rpartition(".")[2] in _BOOKKEEPING:
            dropped.append(name)
            continue
        if tensor.is_sparse or tensor.is_quantized or tensor.is_complex():
            raise TargetError(f"{label}: {name} is {tensor.dtype} {tensor.layout}; only dense real tensors can be read")
        if tensor.is_floating_point():
            if not bool(tensor.float().isfinite().all()):
                raise TargetError(f"{label}: {name} has NaN or infinity in it; take another checkpoint")
            if tensor.dtype != torch.float32:
                converted.add(str(tensor.dtype).removeprefix("torch."))
        kept[plain] = tensor.detach().float() if tensor.is_floating_point() else tensor.detach()
    notes: dict[str, Any] = {}
    if dropped:
        notes["dropped"] = dropped
    if converted:
        notes["converted_to_float32"] = sorted(converted)
    return kept, notes


def readings(tensors: dict[str, Tensor]) -> list[Reading]:
    """The tensors as they are, then without what encloses the network and what stands beside it.

    Left out are a normalising layer in front, single numbers beside modules (MAIR's ``n_classes``), and modules that
    play no part in the answers (a copy for weight averaging or for the attacks, a loss, a measure). Anything else
    beside the network, such as a denoiser in front of a classifier, is not: then no reading fits, and the user says.
    """
    found = list(_stripped(Reading(tensors)))
    front = {name for pair in pairs_in_front(tensors) for name in pair}
    numbers = {name for name, tensor in tensors.items() if "." not in name and tensor.numel() == 1}
    rest = {name: tensor for name, tensor in tensors.items() if name not in front | numbers}
    for start in [Reading(rest, left_out=tuple(sorted(front | numbers))), *(r for r in found if r.prefix)]:
        found += _stripped(start) if start.tensors is rest and len(rest) < len(tensors) else []
        found += _without_neighbours(start)
    return found


def _stripped(reading: Reading) -> Iterator[Reading]:
    """Without more and more of the prefix that all names share: ``module.``, ``model.``, ``1.`` of a Sequential."""
    yield reading
    first = {name.partition(".")[0] for name in reading.tensors}
    if len(first) == 1 and all("." in name for name in reading.tensors):
        (common,) = first
        tensors = {name.partition(".")[2]: tensor for name, tensor in reading.tensors.items()}
        yield from _stripped(Reading(tensors, f"{reading.prefix}{common}.", reading.left_out))


def _without_neighbours(reading: Reading) -> Iterator[Reading]:
    """For each module of the outermost one: it alone, where what stands beside it plays no part in the answers."""
    for enclosed in _stripped(reading):
        front = {name for pair in pairs_in_front(enclosed.tensors) for name in pair}
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in enclosed.tensors.items():
            if name not in front:
                groups.setdefault(name.partition(".")[0], {})[name.partition(".")[2]] = tensor
        for group, tensors in groups.items():
            rest = [other for other in groups if other != group]
            if rest and all(_BESIDE.fullmatch(other) or _is_number(groups[other]) for other in rest):
                out = [name for name in enclosed.tensors if not name.startswith(f"{group}.")]
                left_out = (*reading.left_out, *(f"{enclosed.prefix}{name}" for name in out))
                yield from _stripped(Reading(tensors, f"{enclosed.prefix}{group}.", left_out))


def _is_number(tensors: Mapping[str, Tensor]) -> bool:
    return list(tensors) == [""] and tensors[""].numel() == 1


def copies(reading: Reading, tensors: Mapping[str, Tensor]) -> list[str]:
    """The prefixes of copies of a reading's tensors that differ from them; equal copies are one model."""
    differing = []
    names = list(reading.tensors)
    for other in dict.fromkeys(name[: -len(names[0])] for name in reading.left_out if name.endswith(f".{names[0]}")):
        copy = {name: tensors.get(f"{other}{name}") for name in names}
        if all(tensor is not None for tensor in copy.values()) and not all(
            torch.equal(reading.tensors[name], tensor) for name, tensor in copy.items() if tensor is not None
        ):
            differing.append(other.rstrip("."))
    return differing


def shortly(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(names[:_TOLD]) + more
