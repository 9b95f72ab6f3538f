"""From what a file holds to a state dict: unnested, stripped of prefixes, brought to float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.targets.errors import TargetError
from harness.targets.preprocessing import Preprocessing, find_normalisation

NESTS = (  # where training scripts put the state dict
    *("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "student"),
    *("ema", "model_ema", "ema_state_dict", "state_dict_ema", "ema_model", "shadow", "best", "last"),
)
# what tools leave beside the weights: of weight averaging, of counting operations
_BOOKKEEPING = ("n_averaged", "total_ops", "total_params")


@dataclass(frozen=True)
class Variant:
    """One way to read the tensors: without a prefix, without a normalising layer's buffers.

    Attributes:
        prefix: what was taken from the beginning of every name.
        normalisation: what the buffers that were taken out describe.
    """

    tensors: dict[str, Tensor]
    prefix: str = ""
    normalisation: Preprocessing | None = None


def unnest(content: Any, key: str | None, label: str) -> tuple[dict[str, Tensor], str]:
    """The state dict within what a file holds, and the dotted keys under which it lay.

    Args:
        key: under which key, where the user says; else the usual keys are tried.
    Raises:
        TargetError: there is none, or there are several.
    """
    if not isinstance(content, Mapping):
        raise TargetError(
            f"{label} holds a {type(content).__name__}, and no state dict; save one:"
            " torch.save(model.state_dict(), FILE)"
        )
    found = dict(_state_dicts(content))
    if key is not None:
        found = {path: tensors for path, tensors in found.items() if path == key or path.startswith(f"{key}.")}
        if not found:
            known = ", ".join(path or "(top)" for path, _ in _state_dicts(content)) or "none"
            raise TargetError(f"{label} has no state dict under the key {key!r}; it has: {known}")
    if not found:
        raise TargetError(
            f"{label} holds no state dict, only {_some_keys(content)}; save one, torch.save(model.state_dict(), FILE)"
        )
    if len(found) > 1:
        file = label.removesuffix(f":{key}")
        choices = " or ".join(f"{file}:{path}" for path in found)
        raise TargetError(f"{label} holds {len(found)} state dicts; say which one: {choices}")
    ((path, tensors),) = found.items()
    return tensors, path


def _state_dicts(content: Mapping[Any, Any], depth: int = 2) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every state dict under the usual keys, else the mapping itself, else what lies under any key."""
    usual = [key for key in NESTS if isinstance(content.get(key), Mapping)]
    nested = [key for key, value in content.items() if isinstance(key, str) and isinstance(value, Mapping)]
    tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    own = [("", tensors)] if any(tensor.ndim for tensor in tensors.values()) else []
    yield from _below(content, usual, depth) or own or _below(content, nested, depth)


def _below(content: Mapping[Any, Any], keys: list[str], depth: int) -> list[tuple[str, dict[str, Tensor]]]:
    if not depth:
        return []
    found = ((key, path, inner) for key in keys for path, inner in _state_dicts(content[key], depth - 1))
    return [(f"{key}.{path}" if path else key, inner) for key, path, inner in found]


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


def variants(tensors: dict[str, Tensor], channels: int) -> list[Variant]:
    """The tensors as they are, then without what encloses the network: common prefixes, a normalising layer.

    Raises:
        TargetError: there are normalisations that contradict one another.
    """
    readings = list(_stripped(Variant(tensors)))
    found = find_normalisation(tensors, channels)
    if found is not None:
        normalisation, names = found
        rest = {name: tensor for name, tensor in tensors.items() if name not in names}
        readings += _stripped(Variant(rest, normalisation=normalisation))
    return readings


def _stripped(variant: Variant) -> Iterator[Variant]:
    """Without more and more of the prefix that all names share: ``module.``, ``model.``, ``1.`` of a Sequential."""
    yield variant
    first = {name.partition(".")[0] for name in variant.tensors}
    if len(first) == 1 and all("." in name for name in variant.tensors):
        (common,) = first
        tensors = {name.partition(".")[2]: tensor for name, tensor in variant.tensors.items()}
        yield from _stripped(Variant(tensors, f"{variant.prefix}{common}.", variant.normalisation))
