"""Other values of a network's parameters in a weights file: averages (EMA, SWA), earlier weights, under any name.

A file that has the parameters of a network twice, with values that differ, does not say which are meant. Two names are
the same where they differ in dots and underscores alone, as averages often name theirs: ``0_weight``, ``0weight``. A
list has the parameters, or all tensors, in the network's order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.targets.content import Address, StateDict, TensorPlace, choices, dense, shortened, spelled
from harness.targets.differences import COUNTER, Candidate
from harness.targets.errors import TargetError


@dataclass(frozen=True, eq=False)
class StoredValues:
    """Values for all parameters of a network, in one state dict.

    Attributes:
        names: from the network's names to those in the state dict; of buffers only those that are there.
        key: what a user types to choose them; None where no key of the file means them alone.
    """

    candidate: Candidate
    state: StateDict
    names: Mapping[str, str]
    key: Address | None

    @property
    def address(self) -> Address:
        return self.state.address(next(iter(self.names.values()))) if self.key is None else self.key

    @property
    def missing(self) -> list[str]:
        """The buffers that are not there, counters of batches aside."""
        names = self.candidate.expected
        return [name for name in names if name not in self.names and not name.endswith(COUNTER)]

    @property
    def renamed(self) -> bool:
        """Whether some have other names than the network's."""
        return not all(f".{stored}".endswith(f".{own}") for own, stored in self.names.items())

    def differ(self, place: TensorPlace) -> bool:
        """Whether they differ from those of the network at a place. Values that cannot be opened count as equal."""
        floating = {self.names[n] for n, t in self.candidate.built.items() if n in self.names and t.is_floating_point()}
        try:
            mine, _ = dense({name: self.state.tensors[name] for name in self.names.values()}, "", floating)
        except TargetError:
            return False
        theirs = {own: place.state.tensors.get(f"{place.prefix}{own}") for own in self.names}
        pairs = [(mine[self.names[n]], t) for n, t in theirs.items() if t is not None and not n.endswith(COUNTER)]
        return not all(torch.equal(one, other.to(one.dtype)) for one, other in pairs)

    def refusal(self, label: str) -> TargetError:
        """Why they cannot be opened: buffers are missing, or they have other names."""
        network = self.candidate.network.name
        if self.missing:
            return TargetError(
                f"{label} holds the parameters of {network} alone, and no buffers (BatchNorm's statistics), such as"
                f" {self.missing[0]}; save the state_dict() of a network that has both, or choose another part"
            )
        own, stored = next(iter(self.names.items()))
        return TargetError(
            f"{label} holds the tensors of {network} under other names, {stored} for {own}; load them into the network,"
            " and save its state_dict()"
        )


def values_in(
    candidate: Candidate, state: StateDict, scope: Address, taken: Collection[str] = ()
) -> Iterator[StoredValues]:
    """Every set of values for all parameters of a network in a state dict, at or below an address.

    Args:
        taken: names in the state dict that are known to be another's.
    """
    parameters: dict[int, str] = {}
    for name, tensor in candidate.built.items():
        if isinstance(tensor, nn.Parameter):
            parameters.setdefault(id(tensor), name)  # a tied one is often stored once
    needed = list(parameters.values())
    left = {name: tensor for name, tensor in state.within(scope).items() if name not in taken}
    if len(left) < len(needed) or not needed:
        return
    for names in (*_named(candidate, left, needed), *_numbered(candidate, left, needed)):
        yield StoredValues(candidate, state, names, _key(state, names))


def others_in(
    candidate: Candidate, states: Sequence[StateDict], scope: Address, places: Sequence[TensorPlace]
) -> list[StoredValues]:
    """Every set of values for a network's parameters but those of the networks at some places."""
    owned = [(state, set().union(*(place.own for place in places if place.state is state))) for state in states]
    return [values for state, own in owned for values in values_in(candidate, state, scope, own)]


def several(label: str, file: str, addresses: Sequence[Address], rivals: Sequence[StoredValues]) -> TargetError:
    """The refusal of a file that holds networks that differ.

    Args:
        addresses: of those that can be opened.
        rivals: other values for the parameters of the first of them.
    """
    keys = [each.key for each in rivals if each.key is not None]
    text = f"{label} holds {len(addresses) + len(rivals)} networks that differ; say which one: "
    text += choices(file, [*addresses, *keys])
    without = [spelled(each.address) for each in rivals if each.key is None]
    return TargetError(text + (f"; no key chooses the one that has {', '.join(shortened(without))}" if without else ""))


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
                free = (n for n in alike.get(f"{front}{_letters(own)}", ()) if n not in used)
                stored = next((name for name in free if tuple(tensors[name].shape) == shape), None)
                if stored is not None:
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


def _key(state: StateDict, names: Mapping[str, str]) -> Address | None:
    """The address at which all of the names are the network's, dots and underscores aside."""
    own, stored = next(iter(names.items()))
    parts = stored.split(".")
    ends = [start for start in range(len(parts)) if _letters("".join(parts[start:])) == _letters(own)]
    if ends or parts[-1].isdecimal():
        return state.address(".".join(parts[: ends[-1] if ends else -1]))
    return None


def _letters(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", name)
