"""Other values of a network's parameters in a weights file: averages (EMA, SWA), earlier weights, under any name.

A file that has the parameters of a network twice, with different values, does not say which it means. Names that differ
only in dots and underscores count as the same, since averages are often named so: ``0_weight``, ``0weight``. A list has
the parameters, or all tensors, in the network's order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor, nn

from harness.targets.content import Address, Place, StateDict, dense
from harness.targets.differences import COUNTER, Candidate
from harness.targets.target import TargetError


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
