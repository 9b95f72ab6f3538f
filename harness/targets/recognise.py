"""Which registered network a state dict belongs to, by its names and shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from harness.errors import HarnessError, SettingError
from harness.plugin.network import Network, Shape
from harness.plugin.settings import Plugin
from harness.registry.catalogue import discover, make
from harness.targets.beside import unusable, values_in
from harness.targets.content import Address, Place, StateDict, place_at, spelled
from harness.targets.differences import Candidate, Differences, compared_with, other_data, plays_no_part, prefixes
from harness.targets.normalisation import evidence_of
from harness.targets.preprocessing import Asked
from harness.targets.statistics import Statistic
from harness.targets.target import TargetError

_ORDINARY = {"height": 32, "width": 32}  # most networks take this size, if not the data set's


class Search(NamedTuple):
    """Where to look for a network, and for which images."""

    states: Sequence[StateDict]  # that may be the model's
    known: Sequence[Statistic]  # that the file holds
    scope: Address  # at or below which the network lies
    shape: Shape


@dataclass(frozen=True)
class Recognised:
    """A network, and a place in a file that has all of its tensors, or most of them."""

    candidate: Candidate
    place: Place
    differences: Differences  # none if the network is recognised
    copies: list[Place]  # every place in the state dict that has the whole network
    unused: list[str]  # names in the state dict of parameters that published code registers and never uses

    @property
    def network(self) -> Network:
        return self.candidate.network


def recognise(search: Search, label: str, file: str, asked: Asked, plugins: tuple[Path, ...]) -> list[Recognised]:
    """The networks whose state dicts have these names and shapes. Shapes also give integer settings left open.

    Every place that has a whole network counts. All other tensors of its state dict must describe a normalisation, or
    not change the answers; else nothing there fits.

    Args:
        label, file: what the user named, and the same without a key.
    Raises:
        HarnessError: no network fits, several do, or the known settings are refused.
    """
    catalogue = discover("networks", plugins)
    catalogue.refuse_broken(plugins)
    tried = sorted(catalogue.found) if asked.network_name is None else [asked.network_name]
    classes = [catalogue.get(name) for name in tried]
    if asked.network_name is None:
        classes = [cls for cls in classes if {info.name for info in cls.describe()} >= set(asked.values)]
    trials = [trial for cls in classes for trial in _trials(cls, asked.values, search)]
    fits = [trial for trial in trials if not trial.differences and trial.candidate.refusal is None]
    fitting = {fit.network.name for fit in fits}
    fits = [fit for fit in fits if fit.network.same_as not in fitting]
    for state in search.states:
        names = list(dict.fromkeys(fit.network.name for fit in fits if fit.place.state is state))
        if len(names) > 1:
            raise TargetError(f"{label} fits the networks {' and '.join(names)}; say which one with --arch")
    for fit in fits:
        if open_settings := [name for name in fit.network.untold() if name not in asked.values]:
            raise TargetError(_unsaid(label, fit.network, open_settings))
    if fits:
        return sorted(fits, key=lambda fit: search.states.index(fit.place.state))
    for trial in trials:
        if refusal := other_data(trial.candidate, trial.differences, label, search.shape):
            raise TargetError(refusal)
    for trial in trials:
        values_there = values_in(trial.candidate, trial.place.state, search.scope)
        refusals = [unusable(trial.candidate, place, label) for place in values_there]
        if refusals and all(refusals):
            raise TargetError(refusals[0] or "")
    if not trials:
        given = ", ".join(f"{key}={value}" for key, value in asked.values.items()) or "its default settings"
        raise TargetError(f"{label}: no network can be built for it with {given}; name another --arch")
    nearest = max(trials, key=lambda trial: trial.differences.nearness)
    raise TargetError(_mismatch(label, file, asked.network_name, nearest))


def _trials(cls: type[Plugin], values: Mapping[str, Any], search: Search) -> Iterator[Recognised]:
    """The network with its defaults, then with each integer setting that brings it nearer to a state dict.

    A setting that is not given may be any extent that a tensor has. The nearest value is kept, and the next setting is
    tried. A setting that changes no shape keeps its default.
    """
    integers = [info.name for info in cls.describe() if info.type == "int" and info.name not in values]
    tensors = [tensor for state in search.states for tensor in state.within(search.scope).values()]
    extents = sorted({extent for tensor in tensors for extent in tensor.shape})
    options: list[dict[str, int]] = [{}, *({name: extent} for name in integers for extent in extents)]

    @cache
    def built(**inferred: int) -> Candidate | None:
        """The network on the meta device; None if the settings are refused, or it cannot be built for any size."""
        try:
            network = cast(Network, make(cls, cls.name, {**values, **inferred}))
        except SettingError:
            if not inferred:
                raise  # the user's own settings are wrong
            return None
        refusal = None
        for size in (search.shape, search.shape._replace(**_ORDINARY)):
            try:
                return Candidate(network, _tensors(network, size), refusal)
            except HarnessError as error:
                refusal = str(error)
            except Exception:  # a plugin's network may fail on settings that are only tried
                break
        return None

    for state in search.states:
        nearest: Recognised | None = None
        inferred: dict[str, int] = {}
        for option in options:
            candidate = built(**{**inferred, **option})
            if candidate is None:
                continue
            found = _tried(candidate, state, search)
            yield from found
            if nearest is None or found[0].differences.nearness > nearest.differences.nearness:
                nearest, inferred = found[0], {**inferred, **option}
            if not nearest.differences:
                break


def _tensors(network: Network, size: Shape) -> Mapping[str, Tensor]:
    """A network's parameters and buffers on the meta device; kept, since every file is compared with every network."""
    return (_kept if _can_be_key(network) else _kept.__wrapped__)(network, size)


@lru_cache(maxsize=128)
def _kept(network: Network, size: Shape) -> Mapping[str, Tensor]:
    with torch.device("meta"):
        return network.build(size).state_dict(keep_vars=True)


def _can_be_key(network: Network) -> bool:
    """Whether it has a hash; a plugin's network with a list or a mapping among its settings has none."""
    try:
        hash(network)
    except TypeError:
        return False
    return True


def _tried(candidate: Candidate, state: StateDict, search: Search) -> list[Recognised]:
    """The network at each place in the user's scope that has all of it; else at the nearest place."""
    tensors = state.within(search.scope)
    compared = {prefix: compared_with(candidate, tensors, prefix) for prefix in prefixes(candidate, tensors)}
    nearest = max(compared, key=lambda prefix: compared[prefix].nearness)
    there = [prefix for prefix, differences in compared.items() if not differences] or [nearest]
    everywhere = prefixes(candidate, state.tensors)
    whole = [prefix for prefix in everywhere if not compared_with(candidate, state.tensors, prefix)]
    places, copies = ([place_at(candidate.expected, state, p) for p in each] for each in (there, whole))
    evidence = [evidence_of(search.known, place, copies, search.shape) for place in places]
    known = {name for place, its in zip(places, evidence, strict=True) for name in place.own | its.names(state)}
    rest = {name: tensor for name, tensor in tensors.items() if name not in known}
    unused = [n for n in rest if any(n.startswith(p) and candidate.unused(n.removeprefix(p)) for p in there)]
    strange = {
        name: tuple(tensor.shape)
        for name, tensor in rest.items()
        if name not in unused and not any(plays_no_part(name, prefix, tensor) for prefix in there)
    }
    differences = replace(compared[there[0]], unexpected=strange)
    return [Recognised(candidate, place, differences, copies, unused) for place in places]


def _unsaid(label: str, network: Network, settings: Sequence[str]) -> str:
    name = settings[0]
    options = next(info.type for info in network.describe() if info.name == name)
    return (
        f"{label} fits {network.name}, but its tensors do not tell the setting {name} ({options}), which decides its"
        f" answers: give --set network.{name}=VALUE, as the code that trained it has it"
    )


def _mismatch(label: str, file: str, network_name: str | None, nearest: Recognised) -> str:
    name, differences = nearest.candidate.network.name, nearest.differences
    lead = "is not a state dict of" if network_name else "fits no registered network; nearest"
    other = "choose another --arch" if network_name else "name the network with --arch, add yours with --plugin"
    if nearest.place.prefix and not differences.missing and not differences.shapes:
        address = spelled(nearest.place.address)
        other = f"{file}:{address} opens the {name} alone, without what is beside it"
    return f"{label} {lead} {name}: {differences.in_words()}: {other}, or bring the model as module:factory"
