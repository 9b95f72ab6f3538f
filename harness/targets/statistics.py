"""Means and deviations in a weights file, and whether they belong to the network's input.

A statistic is a mean and a deviation of one name: ``mean`` and ``std``, ``normalizer.new_mean`` and
``normalizer.new_std``, ``args.data_mean`` and ``args.data_std``. **It belongs to the input** where nothing but the
network's own wrapper is between the two, that is

- where the network, or a module around it, has it as a buffer of its own: ``mean`` beside ``model.conv1.weight``;
- where a neighbour of the network or of a module around it has it, and each word on the way there is a word for
  normalising, for images, or for settings: ``normalizer``, ``data_config``; or the neighbour is a number below the
  network's: ``0.mean`` beside ``1.conv1.weight``;
- where it lies inside the network's own module, under nothing but words for normalising: ``normalize.mean``.

It **belongs to something else** where a word on the way says so (``target``, ``features``, ``noise``, ``acc``), where
its neighbour comes after the network, or where it lies deeper inside: it is never taken for the input's. The owner of
any other statistic is **unknown**, and the file is refused until the user decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from harness.plugin.network import Shape
from harness.targets.content import Address, Leaf, common

Whose = Literal["the input's", "another's", "unknown"]
Role = Literal["mean", "std", "var", "how"]

_ROLES: dict[str, Role] = {
    **dict.fromkeys(("mean", "means", "mu", "mus"), "mean"),
    **dict.fromkeys(("std", "stds", "stdev", "stddev", "sd", "sigma", "sigmas", "deviation"), "std"),
    **dict.fromkeys(("var", "vars", "variance"), "var"),
}
_SYMBOLS = {"mu", "mus", "sd", "sigma", "sigmas"}  # which also stand for a momentum, or for the level of noise
_NORMALISED = r"(?:normali[sz]|standardi[sz])(?:e|er|ed|ing|ation)"
_NORMALISING = rf"{_NORMALISED}|preprocess(?:ing|or)?|inputs?"
_IMAGES = (
    r"norm|transforms?|images?|imgs?|pixels?|data|datasets?|datamodule|rgb|channels?"
    r"|cifar|tiny|imagenet|svhn|fashion|mnist|digits"
)
_SETTINGS = (
    r"args?|arguments|conf|configs?|configuration|cfg|default|pretrained|hyper|h?params?|(?:hyper)?parameters|options"
    r"|opts?|settings|meta|metadata|info|kwargs|new|used?|per|training|checkpoint|ckpt"
)
_VAGUE = r"stats?|statistics|values?|train"  # of images, where another word says so
_ANOTHERS = (
    r"targets?|labels?|out|outputs?|logits?|feat|feats|features?|latents?|embed|embeddings?|activations?|hidden|noise"
    r"|init|initiali[sz]er|loss|losses|criterion|metrics?|acc|accuracy|scores?|results?|rewards?|returns?|err|error"
    r"|grads?|gradients?|weights?|running|batch|bn|layers?|group|instance|spectral|time|epochs?|optim|optimi[sz]er|scheduler|scaler|prior"
    r"|posterior|b?box|no|not|without|skip|disable"
)
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_OF_LAYERS = r"|false|no|none|.*(?:batch|layer|group|instance|weight|spectral|rms|bn|ln|gn).*"


@dataclass(frozen=True, eq=False)
class Statistic:
    """A mean, a deviation, or both, of one name in one place."""

    path: Address  # the keys of the mappings in which it lies
    holder: Address  # the module that has it, in that mapping
    words: tuple[str, ...]  # of its own name, without mean and std
    parts: dict[Role, Leaf] = field(default_factory=dict)  # "how" is a word such as ``normalize: true`` without values

    @property
    def place(self) -> str:
        """The addresses of its values, as text."""
        return " and ".join(".".join(leaf.address) for leaf in self.parts.values())

    @property
    def paired(self) -> bool:
        return {"mean", "std"} <= self.parts.keys()

    @property
    def sizes(self) -> set[int]:
        """How many values its mean and its deviation have."""
        values = [leaf.value for role, leaf in self.parts.items() if role in ("mean", "std")]
        return {value.numel() if isinstance(value, Tensor) else len(numbers(value)) for value in values}

    @property
    def names(self) -> set[str]:
        """The names of its tensors."""
        return {leaf.name for leaf in self.parts.values() if isinstance(leaf.value, Tensor)}


def statistics(leaves: Iterable[Leaf]) -> list[Statistic]:
    """Every mean and deviation by name, paired if both exist; and words that say that images are normalised."""
    found: dict[tuple[Any, ...], Statistic] = {}
    for leaf in leaves:
        *holder, last = leaf.name.split(".")
        words = words_of(last)
        roles = {_ROLES[word] for word in words if word in _ROLES}
        rest = tuple(word for word in words if word not in _ROLES and word != "dev")
        if _any(words, _ANOTHERS):
            continue
        if len(roles) == 1 and (isinstance(leaf.value, Tensor) or numbers(leaf.value)):
            statistic = Statistic(leaf.path, tuple(holder), rest)
            key = (leaf.path, statistic.holder, rest)
            found.setdefault(key, statistic).parts.setdefault(roles.pop(), leaf)
        elif _says(leaf.value, words, roles):
            found[leaf.path, leaf.name] = Statistic(leaf.path, tuple(holder), rest, {"how": leaf})
    return [statistic for statistic in found.values() if statistic.parts.keys() != {"var"}]


def whose(statistic: Statistic, path: Address, prefix: Address) -> Whose:
    """Whose statistic it is, by its place relative to the network's; the module's docstring has the rule."""
    place, network = (*statistic.path, *statistic.holder), (*path, *prefix)
    shared = common(place, network)
    way = place[shared:]
    inside = statistic.path == path and shared == len(network) and bool(way)
    if way and statistic.path == path and way[0].isdecimal() and not inside:
        after = network[shared]
        if after.isdecimal() and int(way[0]) > int(after):
            return "another's"
        way = way[1:] if after.isdecimal() or way[0] == "0" else way
    words = [word for part in way for word in (words_of(part) or [part])]
    named = [*words, *statistic.words]
    if _any(named, _ANOTHERS):
        return "another's"
    if inside:
        sure, perhaps = _all(words, _NORMALISING), _all(words, f"{_NORMALISING}|{_IMAGES}")
        return "the input's" if sure else "unknown" if perhaps else "another's"
    of_images = _any(named, f"{_NORMALISING}|{_IMAGES}")
    if any(part.isdecimal() for part in way):
        return "unknown"
    leaves = statistic.parts.values()
    if not of_images and all(isinstance(leaf.value, (int, float)) and _symbolic(leaf.name) for leaf in leaves):
        return "unknown"  # plain numbers may be settings of anything
    plain = [word for word in named if not word.isdecimal() and not (of_images and re.fullmatch(_VAGUE, word))]
    return "the input's" if _all(plain, f"{_NORMALISING}|{_IMAGES}|{_SETTINGS}") else "unknown"


def speaks_of_another(statistic: Statistic) -> bool:
    """Whether a word in its name or above it says that it belongs to something else than the input."""
    return _any([word for part in (*statistic.path, *statistic.holder) for word in words_of(part)], _ANOTHERS)


def counts(statistic: Statistic, whose: Whose, shape: Shape) -> bool:
    """Whether a statistic matters: it is or may be the input's, and it has as many values as images need."""
    area = shape.height * shape.width
    if whose == "another's" or not statistic.sizes <= {1, 3, shape.channels, area, shape.channels * area}:
        return False
    if whose == "unknown":
        return statistic.paired
    return bool(statistic.parts.keys() & {"mean", "how"}) or not _symbolic(statistic.place)


def numbers(value: Any) -> list[float]:
    """A value's numbers, as the shortest decimals of these float32 numbers: 0.4914; empty if it has anything else."""
    if isinstance(value, Tensor):
        if value.is_complex() or value.is_sparse or value.is_quantized:
            return []
        return [float(str(number)) for number in value.detach().float().flatten().numpy()]
    if isinstance(value, str):
        parts = [part for part in re.split(r"[\s,;()\[\]]+", value) if part]
        value = [float(part) if _NUMBER.fullmatch(part) else None for part in parts]
    if isinstance(value, (list, tuple)):
        inner = [numbers(each) for each in value]
        return [number for each in inner for number in each] if all(inner) else []
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return numbers(torch.tensor(value, dtype=torch.float64))
    return []


def _says(value: Any, words: Sequence[str], roles: set[Role]) -> bool:
    """Whether a value's name or text says that images are normalised, but not how."""
    if isinstance(value, str) and re.search(r"normali[sz]e\s*\(", value.lower()):
        return True
    if len(roles) < 2 and not _any(words, _NORMALISED):
        return value is True and _any(words, "norm")
    if isinstance(value, str):
        return not re.fullmatch(_OF_LAYERS, value.strip().lower())
    return value is True or (not isinstance(value, Tensor) and numbers(value) not in ([], [0.0]))


def words_of(name: str) -> list[str]:
    """The words of a name in small letters: ``normMean_2`` has norm, mean."""
    return [word.lower() for word in _WORD.findall(name)]


def _symbolic(name: str) -> bool:
    return bool(set(words_of(name)) & _SYMBOLS)


def _any(words: Iterable[str], pattern: str) -> bool:
    return any(re.fullmatch(pattern, word) for word in words)


def _all(words: Iterable[str], pattern: str) -> bool:
    return all(re.fullmatch(pattern, word) for word in words)
