"""Tensors beside the network that FILE:KEY chose: they are recorded, or refused if they may be in front of it.

A layer in front of the network (a denoiser, offsets and scales) decides the figure; without the layer, the figure is
another model's. So a tensor may be in front unless it is known to lie elsewhere, and the user must say that it is not.
Known to lie elsewhere are: other copies of the network and tensors nearer to them; higher numbers of the same
Sequential; and tensors named like copies, losses, measures, heads, outputs, targets, or optimisers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from torch import Tensor

from harness.targets.content import Place, StateDict, common, leaves, of_training, shortened, spelled
from harness.targets.differences import plays_no_part
from harness.targets.recognise import Recognised
from harness.targets.statistics import Statistic, words_of

_HEAD = re.compile(r"(?:\w+_)?heads?")  # if matrices or vectors: a convolution named so may be the first layer
_BEHIND = re.compile(r"targets?|labels?|outputs?|logits?|loss|losses")


def beside(place: Place, copies: Sequence[Place], described: Collection[str]) -> tuple[list[str], list[str]]:
    """The names of the tensors beside a network in its state dict, and those that may be in front of the network.

    Tensors of the network's copies, and those that are known to describe a normalisation, do not count.
    """
    taken = place.own.union(described, *(copy.own for copy in copies))
    names = [name for name in place.state.tensors if name not in taken]
    return names, [name for name in names if not _elsewhere(name, place, copies)]


def _elsewhere(name: str, place: Place, copies: Sequence[Place]) -> bool:
    """Whether a tensor belongs to another copy, lies behind the network, or belongs to its training."""
    if plays_no_part(name, place.prefix, place.state.tensors[name]):
        return True
    address = place.state.address(name)
    if any(common(address, copy.address) > common(address, place.address) for copy in copies):
        return True
    parts, around = name.split("."), place.prefix.removesuffix(".").split(".")
    level = common(parts, around)
    if level == len(parts):  # the name is that of a module around the network
        return False
    if _HEAD.fullmatch(parts[level]) and place.state.tensors[name].ndim <= 2:
        return True
    if level < len(around) and parts[level].isdecimal() and around[level].isdecimal():
        return int(parts[level]) > int(around[level])
    return of_training(tuple(parts)) or any(_BEHIND.fullmatch(word) for part in parts for word in words_of(part))


def notes_of(
    fits: list[Recognised], states: list[StateDict], content: Any, known: list[Statistic], left_out: list[str]
) -> dict[str, Any]:
    """What was taken from a file, and what was left out; in JSON types."""
    fit, *equal = fits
    used = [each.place.state for each in fits]
    described = {(s.path, name) for s in known for name in s.names}
    others = [
        state
        for state in states
        if state not in used and any((state.path, n) not in described for n in state.tensors if state.path or "." in n)
    ]
    single = [leaf for leaf in leaves(content) if not leaf.path and "." not in leaf.name]
    loose = [leaf.name for leaf in single if isinstance(leaf.value, Tensor) and leaf.value.is_floating_point()]
    at_top = {name for state in used if not state.path for name in state.tensors}
    notes = {
        "nested_under": ".".join(fit.place.state.path),
        "prefix_stripped": fit.place.prefix,
        "equal_copies": [spelled(each.place.address) for each in equal],
        "left_out": ", ".join(shortened(left_out)),
        "other_state_dicts": [spelled(state.path) for state in others],
        "other_tensors": shortened([name for name in loose if ((), name) not in described and name not in at_top]),
        "unused": list(fit.unused),
    }
    return {name: note for name, note in notes.items() if note}
