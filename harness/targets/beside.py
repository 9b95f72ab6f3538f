"""What a file holds beside a network: other values of its parameters, under any name; and other tensors.

Averages (EMA, SWA) and earlier weights are copies. A file that has the parameters of a network twice, with different
values, does not say which it means. Names that differ only in dots and underscores count as the same, since averages
are often named so: ``0_weight``, ``0weight``. A list has the parameters, or all tensors, in the network's order.

Of a network that FILE:KEY chose, the other tensors are recorded, or refused if they may be in front of it. A layer in
front of the network (a denoiser, offsets and scales) decides the figure; without the layer, the figure is another
model's. So a tensor may be in front unless it is known to lie elsewhere, and the user must say that it is not. Known to
lie elsewhere are: other copies of the network and tensors nearer to them; higher numbers of the same Sequential; and
tensors named like copies, losses, measures, heads, outputs, targets, or optimisers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from harness.targets.content import Address, Place, StateDict, common, dense, of_training
from harness.targets.differences import COUNTER, Candidate, plays_no_part
from harness.targets.statistics import words_of
from harness.targets.target import TargetError

_HEAD = re.compile(r"(?:\w+_)?heads?")  # if matrices or vectors: a convolution named so may be the first layer
_BEHIND = re.compile(r"targets?|labels?|outputs?|logits?|loss|losses")


def values_in(candidate: Candidate, state: StateDict, scope: Address, taken: Collection[str] = ()) -> Iterator[Place]:
    """Every place in a state dict, at or below an address, that has values for all parameters of a network.

    Names that are ``taken`` are known to belong to something else.
    """
    parameters: dict[int, str] = {}
    for name, tensor in candidate.built.items():
        if isinstance(tensor, nn.Parameter):
            parameters.setdefault(id(tensor), name)  # a tied parameter is often stored once
    needed = list(parameters.values())
    left = {name: tensor for name, tensor in state.within(scope).items() if name not in taken}
    if len(left) < len(needed) or not needed:
        return
    for names in (*_named(candidate, left, needed), *_numbered(candidate, left, needed)):
        own, stored = next(iter(names.items()))
        yield Place(state, names, stored.removesuffix(own), _key(state, own, stored))


def differ(candidate: Candidate, one: Place, other: Place, *, unreadable: bool) -> bool:
    """Whether two places have different values for a tensor of both; counters of batches do not matter.

    ``unreadable`` is the answer if the first place cannot be opened.
    """
    try:
        mine, _ = dense(one, candidate.built, "")
    except TargetError:
        return unreadable
    theirs = {own: other.state.tensors[name] for own, name in other.names.items() if not own.endswith(COUNTER)}
    return not all(torch.equal(mine[name], t.to(mine[name].dtype)) for name, t in theirs.items() if name in mine)


def unusable(candidate: Candidate, place: Place, label: str) -> str | None:
    """Why the values at a place cannot be used: buffers are missing, or names are not the network's; else None."""
    network = candidate.network.name
    missing = [name for name in candidate.expected if name not in place.names and not name.endswith(COUNTER)]
    if missing:
        return (
            f"{label} holds the parameters of {network} alone, and no buffers (BatchNorm's statistics), such as"
            f" {missing[0]}; save the state_dict() of a network that has both, or choose another part"
        )
    if all(f".{stored}".endswith(f".{own}") for own, stored in place.names.items()):
        return None
    own, stored = next(iter(place.names.items()))
    return (
        f"{label} holds the tensors of {network} under other names, {stored} for {own}; load them into the network,"
        " and save its state_dict()"
    )


def _named(candidate: Candidate, tensors: Mapping[str, Tensor], needed: list[str]) -> Iterator[dict[str, str]]:
    alike: dict[str, list[str]] = defaultdict(list)
    for name in tensors:
        alike[_letters(name)].append(name)
    first = _letters(needed[0])
    used: set[str] = set()
    for front in [key.removesuffix(first) for key in alike if key.endswith(first)]:
        for _ in alike[f"{front}{first}"]:
            found = {}
            for own, shape in candidate.expected.items():
                fitting = (n for n in alike.get(f"{front}{_letters(own)}", ()) if tuple(tensors[n].shape) == shape)
                if stored := next((name for name in fitting if name not in used), None):
                    found[own] = stored
            if found.keys() >= set(needed):
                used.update(found.values())
                yield found


def _numbered(candidate: Candidate, tensors: Mapping[str, Tensor], needed: list[str]) -> Iterator[dict[str, str]]:
    lists: dict[str, dict[int, str]] = defaultdict(dict)
    for name in tensors:
        around, _, last = name.rpartition(".")
        if last.isdecimal():
            lists[around][int(last)] = name
    for numbered in lists.values():
        stored = [numbered[number] for number in sorted(numbered)]
        for names in (needed, list(candidate.expected)):
            if [tuple(tensors[name].shape) for name in stored] == [candidate.expected[name] for name in names]:
                yield dict(zip(names, stored, strict=True))
                break


def _key(state: StateDict, own: str, stored: str) -> Address | None:
    """The address of the network, if a name in the file is the network's but for dots and underscores."""
    parts = stored.split(".")
    ends = [start for start in range(len(parts)) if _letters("".join(parts[start:])) == _letters(own)]
    if ends or parts[-1].isdecimal():
        return state.address(".".join(parts[: ends[-1] if ends else -1]))
    return None


def _letters(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", name)


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
