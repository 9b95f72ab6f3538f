"""The normalisation that a weights file carries: as buffers before the network, or as values beside the weights.

A pair is the input's where a layer in front of the network has it, or where it lies beside the weights under a name
that scripts give to pixel statistics. A pair within the network is the network's own. What cannot be told is refused
until the user says: a normalisation that is missed is a wrong figure without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.errors import SettingError
from harness.targets.errors import TargetError
from harness.targets.preprocessing import Preprocessing

# a normalising layer's buffers, by the names that published code gives them
PAIRS = (("mean", "std"), ("mu", "sigma"), ("new_mean", "new_std"), ("means", "stds"), ("mean", "sd"))
_BESIDE = re.compile(
    r"(?:(?:normali[sz]e|normali[sz]ation|norm|data|dataset|image|img|pixel|input|train|channel)_?)?(mean|mu|std|sigma)s?"
)
_CONTAINERS = re.compile(
    r"normali[sz](?:e|er|ation)|transforms?|preprocess(?:ing)?|config|cfg|args|opts?|hparams|hyper_parameters|params|meta"
    r"|metadata|data|dataset"
)
_PARTNER = {"mean": "std", "mu": "sigma"}


@dataclass(frozen=True)
class Found:
    """A normalisation, where it was, and the names of the tensors that describe it."""

    preprocessing: Preprocessing
    place: str
    names: tuple[str, ...] = ()


def pairs_in_front(tensors: Mapping[str, Tensor]) -> list[tuple[str, str]]:
    """The names of buffers that describe a normalisation in front of the network, a pair for each layer or copy.

    Such a pair lies at the top or in a layer of the outermost module: ``mean``, ``normalizer.new_mean``, ``0.mean``,
    and below what encloses all (``module.``) or a copy (``attacker.``). One further inside is not the input's.
    """
    enclosing = _enclosing(tensors)
    found = []
    for name in tensors:
        stem, _, leaf = name.removeprefix(enclosing).rpartition(".")
        for first, second in PAIRS:
            partner = name[: len(name) - len(leaf)] + second
            if leaf == first and partner in tensors and "." not in stem.removeprefix("attacker."):
                found.append((name, partner))
    return found


def in_buffers(tensors: Mapping[str, Tensor], channels: int) -> Found | None:
    """The normalisation that buffers in front of the network describe.

    Raises:
        TargetError: two that differ, a number of values that is not the channels', or another scale than [0, 1].
    """
    found: dict[tuple[str, str], Preprocessing] = {}
    for name, partner in pairs_in_front(tensors):
        sizes = {tensors[name].numel(), tensors[partner].numel()}
        if not sizes <= {1, channels}:
            raise TargetError(
                f"the normalisation {name} has {max(sizes)} values, and the images have {channels} channel(s); choose"
                " the --dataset that it was made for, or say --no-normalisation"
            )
        found[name, partner] = read(name, _numbers(tensors[name]), _numbers(tensors[partner]))
    if len(set(found.values())) > 1:
        raise TargetError(
            f"two normalisations that differ, {' and '.join(name for name, _ in found)}: which one comes first cannot"
            " be told from their names; bring the model as module:factory"
        )
    if not found:
        return None
    names = tuple(name for pair in found for name in pair)
    return Found(next(iter(found.values())), f"the buffers {names[0]} and {names[1]}", names)


def beside(content: Any, path: str, channels: int) -> Found | None:
    """The normalisation that lies beside a state dict, in the mappings around it and in their usual containers.

    Args:
        content: what the file holds; ``path``: the dotted keys under which the state dict lies.
    Raises:
        TargetError: a mean without its deviation, two that differ, or another scale than [0, 1].
    """
    found: dict[str, Preprocessing] = {}
    for place, values in _around(content, path):
        for key, first in values.items():
            match = _BESIDE.fullmatch(key.lower()) if isinstance(key, str) else None
            if match is None or match[1] not in _PARTNER or not _is_pair_part(first):
                continue
            partner = _partner(key, match[1], values)
            if partner is None:
                if _numbers(first) and len(_numbers(first)) in (1, channels) and not _is_weight(first):
                    raise TargetError(
                        f"{place}{key} lies beside the weights, and nothing that says what to divide by; say"
                        " --mean and --std, or --no-normalisation"
                    )
                continue
            means, stds = _numbers(first), _numbers(values[partner])
            if {len(means), len(stds)} <= {1, channels}:
                found[f"{place}{key} and {place}{partner}"] = read(f"{place}{key}", means, stds)
    if len(set(found.values())) > 1:
        raise TargetError(f"two normalisations that differ, {'; '.join(found)}: say --mean and --std, as they are used")
    return Found(next(iter(found.values())), next(iter(found))) if found else None


def gap(prefix: str) -> str | None:
    """What a layer without buffers has left in the numbering: the number in front of the network's names, above 0."""
    numbers = [part for part in prefix.split(".") if part.isdecimal() and int(part) > 0]
    return numbers[-1] if numbers else None


def read(name: str, means: Sequence[float], stds: Sequence[float]) -> Preprocessing:
    """The normalisation of these values; TargetError where they are not on the [0, 1] pixel scale."""
    size = max(len(means), len(stds))
    try:
        return Preprocessing(mean=tuple(means) * (size // len(means)), std=tuple(stds) * (size // len(stds)))
    except SettingError:
        raise TargetError(
            f"the normalisation {name} = {brief(means)}, {brief(stds)} is not one of images in [0, 1], so the scale"
            " of epsilon would be unknown; say --mean and --std on that scale (such as 125.3/255), say"
            " --no-normalisation, or bring the model as module:factory, taking images in [0, 1]"
        ) from None


def brief(values: Sequence[float]) -> str:
    """A few numbers in brackets."""
    return f"({', '.join(f'{value:.4g}' for value in values)})"


def _enclosing(tensors: Mapping[str, Tensor]) -> str:
    """The prefix that all names share."""
    prefix, names = "", list(tensors)
    while names and all("." in name for name in names) and len({name.partition(".")[0] for name in names}) == 1:
        prefix += f"{names[0].partition('.')[0]}."
        names = [name.partition(".")[2] for name in names]
    return prefix


def _around(content: Any, path: str) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """The mappings from the top to the state dict, without that itself, and the usual containers in each."""
    at, place = content, ""
    for key in [*(path.split(".") if path else []), None]:
        if not isinstance(at, Mapping) or key is None:
            break
        yield place, at
        for name, inner in at.items():
            if isinstance(name, str) and _CONTAINERS.fullmatch(name.lower()) and isinstance(inner, Mapping):
                yield f"{place}{name}.", inner
                for deeper, values in inner.items():
                    if (
                        isinstance(deeper, str)
                        and _CONTAINERS.fullmatch(deeper.lower())
                        and isinstance(values, Mapping)
                    ):
                        yield f"{place}{name}.{deeper}.", values
        at, place = at.get(key), f"{place}{key}."


def _containers(values: Mapping[Any, Any]) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """The mappings in which scripts keep settings and statistics."""
    for name, inner in values.items():
        if isinstance(name, str) and _CONTAINERS.fullmatch(name.lower()) and isinstance(inner, Mapping):
            yield name, inner


def _partner(key: str, leaf: str, values: Mapping[Any, Any]) -> str | None:
    """The key of the deviation that belongs to a mean's."""
    start = key.lower().rindex(leaf)
    for other in (_PARTNER[leaf], "sd"):
        for candidate in (key[:start] + other, key[:start] + other + "s", (key[:start] + other).upper()):
            if candidate in values and _is_pair_part(values[candidate]):
                return candidate
    return None


def _is_pair_part(value: Any) -> bool:
    try:
        return bool(_numbers(value))
    except (TypeError, ValueError):
        return False


def _is_weight(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim > 4


def _numbers(value: Any) -> list[float]:
    """Tensors, lists, and single numbers as the shortest decimals that are these float32 numbers: 0.4914."""
    tensor = value.detach() if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
    return [float(str(number)) for number in tensor.float().flatten().numpy()]
