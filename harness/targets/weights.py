"""A target that is a weights file, and a registered network to load it into."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from harness.errors import PluginError, UnknownName
from harness.plugin.network import Network, Shape
from harness.registry.catalogue import discover, make
from harness.registry.shipped import code_of
from harness.targets.beside import beside, notes_of, wrapped
from harness.targets.content import (
    Address,
    StateDict,
    dense,
    leaves,
    scope_of,
    state_dicts,
    without_state_dict,
)
from harness.targets.copies import StoredValues, others_in, several, values_in
from harness.targets.errors import TargetError
from harness.targets.normalisation import decide, evidence_of, readable
from harness.targets.preprocessing import Preprocessing
from harness.targets.recognise import Recognised, recognise
from harness.targets.statistics import Statistic, statistics
from harness.targets.target import Target
from harness.targets.weights_file import SUFFIXES, WeightsFile, read_weights_file

_FILE = re.compile(rf"(?P<file>.*(?:{'|'.join(re.escape(suffix) for suffix in SUFFIXES)}))(?::(?P<key>.+))?")


@dataclass(frozen=True, kw_only=True)
class FileTarget(Target):
    """A network of a known name and settings, with the weights of a file.

    Attributes:
        file: absolute.
        path, prefix: where the file has the network's tensors: the keys of the mappings around the state dict, and what
            is in front of the network's names in it.
        file_sha256: of the file when it was opened.
        network_code: what identity takes of the network's code; empty for one that ships, at its first version.
    """

    file: Path
    path: Address
    prefix: str
    file_sha256: str
    network_name: str
    network_settings: dict[str, Any]
    network_code: str = ""

    def network(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        held = read_weights_file(self.file)
        if held.sha256 != self.file_sha256:
            raise TargetError(f"the weights file {self.file} changed since it was opened; run the command again")
        cls = discover("networks", plugins).get(self.network_name)
        if code_of(cls) != self.network_code:
            raise TargetError(f"the code of the network {self.network_name!r} changed since {self.label} was opened")
        network = cast(Network, make(cls, self.network_name, self.network_settings)).build(shape)
        (state,) = (state for state in state_dicts(held.content) if state.path == self.path)
        built = network.state_dict()
        own = {name: state.tensors[f"{self.prefix}{name}"] for name in built if f"{self.prefix}{name}" in state.tensors}
        tensors, _ = dense(own, self.label, {name for name, tensor in built.items() if tensor.is_floating_point()})
        network.load_state_dict(tensors, strict=False)  # num_batches_tracked alone may lack: all else was compared
        return network

    def architecture(self, network: nn.Module) -> tuple[str, dict[str, Any]]:
        return self.network_name, self.network_settings

    def context(self) -> dict[str, Any]:
        context = {"network": self.network_name, "settings": self.network_settings}
        return context | ({"code": self.network_code} if self.network_code else {})


def split_key(text: str) -> tuple[Path, str | None] | None:
    """``FILE`` or ``FILE:KEY`` of a weights file; None where the text does not name one by its ending."""
    match = _FILE.fullmatch(text)
    return (Path(match["file"]).expanduser(), match["key"]) if match else None


def open_weights(
    text: str,
    file: Path,
    key: str | None,
    shape: Shape,
    *,
    network_name: str | None,
    values: Mapping[str, Any],
    preprocessing: Preprocessing,
    plugins: tuple[Path, ...],
    no_normalisation: bool = False,
) -> tuple[FileTarget, dict[str, Any]]:
    """Read a file and find its network; the target and its provenance.

    Args:
        key: the address of a state dict in the file, or of a part of one; None: the usual keys, else any.
        no_normalisation: whether the user says that images go into the network as they are, whatever the file has.
    Raises:
        HarnessError: the file cannot be read, is not the weights of a registered network for this data set, holds
            several that differ, or may lack a normalisation.
    """
    held = read_weights_file(file)
    name, settings = _named_inside(held, text, network_name, plugins)
    states = state_dicts(held.content)
    if not states:
        raise without_state_dict(held.content, text)
    named = text.removesuffix(f":{key}")
    known = statistics([*leaves(held.content), *leaves(held.notes)])
    scope = scope_of(states, key, named) if key is not None else ()
    fits = recognise(
        _eligible(states, scope, key),
        known,
        text,
        shape,
        file=named,
        scope=scope,
        network_name=name,
        values={**settings, **values},
        plugins=plugins,
    )
    fits = [fit for fit in fits if key is not None and fit.place.address == scope] or fits
    evidence = [evidence_of(known, fit.place, [*fit.copies, *(f.place for f in fits)], shape) for fit in fits]
    fit, (_, converted) = fits[0], _dense(fits[0], text)
    said = no_normalisation or bool(preprocessing.mean)  # the user, what is in front of the network
    same = [_same_weights(each, fit) for each in fits]
    if not said:
        same = [
            s and readable(its, shape) == readable(evidence[0], shape) for s, its in zip(same, evidence, strict=True)
        ]
    chosen = key is not None and fit.place.address == scope
    rivals = [] if chosen else _rivals(fits, states, scope, known, said=said)
    if rivals or not all(same):
        differing = [fit, *(each for each, alike in zip(fits, same, strict=True) if not alike)]
        raise several(text, named, [_choice(each, rivals) for each in differing], rivals)
    gap = next((its.gap for its in evidence if its.gap), None)  # a gap at one copy stands for all
    inside, outcome = decide(replace(evidence[0], gap=gap), preprocessing, no_normalisation, shape, named)
    left_out: Sequence[str] = fit.left_out
    if key is not None:
        copies = values_in(fit.candidate, fit.place.state, (), fit.place.own)
        rest = beside(fit.place, list(copies), {*evidence[0].names(fit.place.state), *fit.unused})
        left_out = rest.left_out
        if not said:
            rest.refuse(text)
    provenance = {"kind": "weights file", "target": text, "file_sha256": held.sha256}
    if not held.run or inside.mean or no_normalisation:  # harness trains on images in [0, 1]
        provenance["normalisation"] = outcome
    target = FileTarget(
        label=text,
        preprocessing=inside,
        file=file.absolute(),
        path=fit.place.state.path,
        prefix=fit.place.prefix,
        network_code=code_of(type(fit.network)),
        file_sha256=held.sha256,
        network_name=fit.network.name,
        network_settings=fit.network.resolved(),
    )
    notes = notes_of(fits, states, held.content, known, left_out)
    notes |= {"converted_to_float32": converted} if converted else {}
    notes |= {"trained_by_harness": held.run} if held.run else {}
    return target, provenance | notes


def _eligible(states: Sequence[StateDict], scope: Address, key: str | None) -> list[StateDict]:
    """The state dicts that may be the model's: those that the user chose, else those at the usual places, else all."""
    if key is not None:
        return [state for state in states if state.within(scope)]
    usual = [state for state in states if state.usual]
    return usual if any(state.path for state in usual) else list(states)


def _rivals(
    fits: Sequence[Recognised], states: Sequence[StateDict], scope: Address, known: Sequence[Statistic], *, said: bool
) -> list[StoredValues]:
    """What else in the file may be meant: other values of the parameters, or the same with a layer in front."""
    places = [fit.place for fit in fits]
    used = [place.state.path for place in places]
    others = others_in(fits[0].candidate, states, scope, places)
    return [
        each
        for each in others
        if each.differ(places[0]) or (not said and each.state.path not in used and wrapped(each, known))
    ]


def _choice(fit: Recognised, rivals: Sequence[StoredValues]) -> Address:
    """What a user types to choose a network: its state dict, where that holds no other copy."""
    state = fit.place.state
    alone = len(fit.copies) == 1 and all(each.state is not state for each in rivals)
    return state.path if alone and state.path else fit.place.address


def _dense(fit: Recognised, label: str) -> tuple[dict[str, Tensor], list[str]]:
    """A network's tensors in float32, by their names in the file but for the prefix, and the types that they had."""
    prefix, stored = fit.place.prefix, fit.place.state.tensors
    floating = {f"{prefix}{name}" for name, tensor in fit.candidate.built.items() if tensor.is_floating_point()}
    tensors, converted = dense({name: stored[name] for name in stored if name in fit.place.own}, label, floating)
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}, converted


def _same_weights(one: Recognised, other: Recognised) -> bool:
    """Whether two places of a file hold one network, its counters of batches aside."""
    try:
        first, second = (_dense(fit, "")[0] for fit in (one, other))
    except TargetError:  # a copy that could not be opened is another
        return one is other
    names = {name for name in first.keys() | second.keys() if not name.endswith("num_batches_tracked")}
    alike = (one.network, first.keys() & names) == (other.network, second.keys() & names)
    return alike and all(torch.equal(first[name], second[name]) for name in names)


def _named_inside(
    held: WeightsFile, text: str, network_name: str | None, plugins: tuple[Path, ...]
) -> tuple[str | None, dict[str, Any]]:
    """The network and settings that harness wrote into a file of its own; what the user named in any other."""
    run = held.run.get("run")
    if not isinstance(run, Mapping) or not isinstance(run.get("network"), str):
        return network_name, {}
    name, settings = run["network"], run.get("network_settings")
    if network_name not in (None, name):
        raise TargetError(f"--arch {network_name} contradicts {text}, which holds {name}; leave --arch out")
    try:
        cls = discover("networks", plugins).get(name)
    except (UnknownName, PluginError) as error:
        raise TargetError(f"{text} was trained with the network {name}: {error}; give its --plugin FILE.py") from None
    known = {info.name for info in cls.describe()}
    return name, {k: v for k, v in cast(Mapping[str, Any], settings or {}).items() if k in known}
