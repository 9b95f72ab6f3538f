"""Which registered network a state dict belongs to, told from its names and shapes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from harness.errors import HarnessError, SettingError
from harness.plugin.network import Network, Shape
from harness.plugin.settings import Plugin
from harness.registry.catalogue import discover, make
from harness.targets.content import Address, StateDict, TensorPlace, spelled
from harness.targets.copies import StoredValues, values_in
from harness.targets.differences import Candidate, Differences, compared_with, other_data, plays_no_part, prefixes
from harness.targets.errors import TargetError
from harness.targets.normalisation import evidence_of
from harness.targets.statistics import Statistic

_BUILDS = 200  # of one network with inferred settings, at most
_PLACES = 16  # in one state dict at which one network is looked for, at most
_ORDINARY = (32, 32)  # a size that most networks take, where they do not take the data set's


@dataclass(frozen=True)
class Recognised:
    """A network, and where its tensors are in a file.

    Attributes:
        candidate: the network, and the state dict that it would have.
        copies: every place in the state dict where this network is, itself with them.
        unused: parameters in the file that published code registers and never uses; names in the state dict.
        left_out: what stands beside the network and plays no part in its answers; names in the state dict.
    """

    candidate: Candidate
    place: TensorPlace
    copies: tuple[TensorPlace, ...]
    unused: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def network(self) -> Network:
        return self.candidate.network


@dataclass(frozen=True)
class _Trial:
    """A candidate beside one state dict.

    Attributes:
        places: where it is whole, in the user's scope; else where it is nearest.
    """

    candidate: Candidate
    places: tuple[TensorPlace, ...]
    copies: tuple[TensorPlace, ...]
    differences: Differences
    unused: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def nearness(self) -> tuple[float, float]:
        return self.differences.share(self.candidate)

    def recognised(self) -> list[Recognised]:
        notes = self.copies, self.unused, self.left_out
        return [Recognised(self.candidate, place, *notes) for place in self.places]


def recognise(
    states: Sequence[StateDict],
    known: Sequence[Statistic],
    label: str,
    shape: Shape,
    *,
    file: str = "FILE",
    scope: Address = (),
    network_name: str | None,
    values: Mapping[str, Any],
    plugins: tuple[Path, ...],
) -> list[Recognised]:
    """The networks whose state dicts have these names and shapes; settings are inferred where they show in shapes.

    Every place where a network is whole counts. What else is in a state dict must describe a normalisation, or play no
    part in the answers; else nothing there fits.

    Args:
        states: those that may be the model's.
        known: the statistics that the file holds.
        file: as the user names it, without a key.
        scope: the address at or below which the network is.
        network_name, values: the network and settings that are known already; None: every registered network is tried.
    Returns:
        At least one; copies are several.
    Raises:
        TargetError: none fits, or several fit one state dict; names the keys that differ from the nearest one.
        UnknownName: there is no network ``network_name``.
        SettingError: a refused setting.
    """
    catalogue = discover("networks", plugins)
    catalogue.refuse_broken(plugins)
    classes = {
        name: catalogue.get(name) for name in ([network_name] if network_name is not None else sorted(catalogue.found))
    }
    if network_name is None:
        classes = {n: cls for n, cls in classes.items() if {info.name for info in cls.describe()} >= set(values)}
    tensors = [tensor for state in states for tensor in state.within(scope).values()]
    fits: list[Recognised] = []
    others: list[str] = []
    nearest: _Trial | None = None
    unusable: StoredValues | None = None
    for name, cls in classes.items():
        left = list(states)
        for candidate in _candidates(cls, name, values, tensors, shape):
            for state in tuple(left):
                trial = _tried(candidate, state, known, scope, shape)
                other = other_data(candidate, trial.differences, label, shape)
                if other is not None:
                    others.append(other)
                elif not trial.differences:
                    fits += trial.recognised()
                    left.remove(state)
                unusable = unusable or _unusable(candidate, state, scope)
                if nearest is None or trial.nearness > nearest.nearness:
                    nearest = trial
            if not left:
                break
    for state in states:
        names = list(dict.fromkeys(fit.network.name for fit in fits if fit.place.state is state))
        if len(names) > 1:
            raise TargetError(f"{label} fits the networks {' and '.join(names)}; say which one with --arch")
    if fits:
        return sorted(fits, key=lambda fit: states.index(fit.place.state))
    if others:
        raise TargetError(others[0])
    if unusable is not None:
        raise unusable.refusal(label)
    if nearest is None:
        raise TargetError(f"{label}: no network can be built for it with {_settings(values)}; name another --arch")
    raise TargetError(_mismatch(label, file, network_name, nearest))


def _unusable(candidate: Candidate, state: StateDict, scope: Address) -> StoredValues | None:
    """Values for all parameters of a network that cannot be loaded into it, where there are no others."""
    found = list(values_in(candidate, state, scope))
    return found[0] if found and all(each.missing or each.renamed for each in found) else None


def _tried(candidate: Candidate, state: StateDict, known: Sequence[Statistic], scope: Address, shape: Shape) -> _Trial:
    tensors = state.within(scope)
    compared = {prefix: compared_with(candidate, tensors, prefix) for prefix in prefixes(candidate, tensors)[:_PLACES]}
    nearest = max(compared, key=lambda prefix: compared[prefix].share(candidate))
    there = [prefix for prefix, differences in compared.items() if not differences] or [nearest]
    places = [_place(candidate, state, prefix) for prefix in there]
    everywhere = prefixes(candidate, state.tensors)[:_PLACES]
    copies = [
        _place(candidate, state, prefix) for prefix in everywhere if not compared_with(candidate, state.tensors, prefix)
    ]
    rest = {name: t for name, t in tensors.items() if not any(name in place.own for place in places)}
    normalising: set[str] = set().union(*(evidence_of(known, place, copies, shape).names(state) for place in places))
    rest = {name: tensor for name, tensor in rest.items() if name not in normalising}
    unused = [n for n in rest if any(n.startswith(p) and candidate.unused(n.removeprefix(p)) for p in there)]
    left_out = [n for n, tensor in rest.items() if any(plays_no_part(n, prefix, tensor) for prefix in there)]
    strange = {n: tuple(t.shape) for n, t in rest.items() if n not in {*unused, *left_out}}
    differences = replace(compared[there[0]], unexpected=strange)
    return _Trial(candidate, tuple(places), tuple(copies), differences, tuple(unused), tuple(left_out))


def _place(candidate: Candidate, state: StateDict, prefix: str) -> TensorPlace:
    own = (f"{prefix}{key}" for key in candidate.expected)
    return TensorPlace(state, prefix, frozenset(name for name in own if name in state.tensors))


def _candidates(
    cls: type[Plugin], name: str, values: Mapping[str, Any], tensors: Sequence[Tensor], shape: Shape
) -> Iterator[Candidate]:
    """The network with its defaults, then with settings that a file's tensors suggest.

    Integer settings that are not given may be any extent that occurs among the tensors; those at their defaults come
    first. A setting that shows in no shape keeps its default.
    """
    extents = sorted({extent for tensor in tensors for extent in tensor.shape})
    integers = [info for info in cls.describe() if info.type == "int" and info.name not in values]
    choices = [[info.default, *(extent for extent in extents if extent != info.default)] for info in integers]
    for number, inferred in enumerate(itertools.islice(itertools.product(*choices), _BUILDS)):
        chosen = dict(zip((info.name for info in integers), inferred, strict=True))
        try:
            network = cast(Network, make(cls, name, {**chosen, **values}))
        except SettingError:
            if number == 0:
                raise  # all at their defaults but for what the user gave
            continue
        candidate = _built(network, shape)
        if candidate is not None:
            yield candidate


def _built(network: Network, shape: Shape) -> Candidate | None:
    """The network on no device. None where it cannot be built, at an ordinary size neither."""
    refusal = None
    try:
        built = _state(network, shape)
    except HarnessError as error:
        refusal = str(error)
        try:
            built = _state(network, shape._replace(height=_ORDINARY[0], width=_ORDINARY[1]))
        except Exception:  # not at that size either
            return None
    except Exception:  # a plugin's network may not stand settings that are only tried
        return None
    return Candidate(network, built, refusal)


def _state(network: Network, shape: Shape) -> dict[str, Tensor]:
    with torch.device("meta"):
        return dict(network.build(shape).state_dict(keep_vars=True))


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items()) or "its default settings"


def _mismatch(label: str, file: str, network_name: str | None, nearest: _Trial) -> str:
    name, differences = nearest.candidate.network.name, nearest.differences
    lead = (
        f"{label} is not a state dict of {name}"
        if network_name
        else f"{label} fits no registered network; nearest {name}"
    )
    other = "choose another --arch" if network_name else "name the network with --arch, add yours with --plugin"
    if nearest.places[0].prefix and not differences.missing and not differences.shapes:
        address = spelled(nearest.places[0].address)
        other = f"{file}:{address} opens the {name} alone, without what is beside it"
    return f"{lead}: {differences.told()}: {other}, or bring the model as module:factory"
