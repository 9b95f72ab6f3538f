"""A target that is a weights file, and a registered network to load it into."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from harness.errors import PluginError, UnknownName
from harness.files import expanded
from harness.plugin.network import Network, Shape
from harness.registry.catalogue import discover, make
from harness.registry.shipped import code_of
from harness.targets.beside import beside, differ, values_in
from harness.targets.content import (
    NESTS,
    Address,
    Place,
    StateDict,
    choices,
    dense,
    leaves,
    place_at,
    scope_of,
    shortened,
    spelled,
    state_dicts,
)
from harness.targets.normalisation import SAY, decide, evidence_of, gap_of, readable
from harness.targets.preprocessing import Asked
from harness.targets.recognise import Recognised, Search, recognise
from harness.targets.statistics import Statistic, statistics
from harness.targets.target import Target, TargetError
from harness.targets.weights_file import SUFFIXES, WeightsFile, read_weights_file

_FILE = re.compile(rf"(?P<file>.*(?:{'|'.join(re.escape(suffix) for suffix in SUFFIXES)}))(?::(?P<key>.+))?")


@dataclass(frozen=True, kw_only=True)
class FileTarget(Target):
    """A network of a known name and settings, with the weights of a file.

    Attributes:
        file: absolute.
        path, prefix: where the file has the network's tensors: the keys of the mappings around the state dict, and what
            stands before the network's names in it.
        file_sha256: of the file when it was opened.
        network_code: the part of identity that stands for the network's code; empty for version 1 of one that ships.
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
        (state,) = (state for state in state_dicts(held.content, self.label) if state.path == self.path)
        built = network.state_dict()
        tensors, _ = dense(place_at(built, state, self.prefix), built, self.label)
        network.load_state_dict(tensors, strict=False)  # only num_batches_tracked may be missing: all else was compared
        return network

    def architecture(self, network: nn.Module) -> tuple[str, dict[str, Any]]:
        return self.network_name, self.network_settings

    def context(self) -> dict[str, Any]:
        context = {"network": self.network_name, "settings": self.network_settings}
        return context | ({"code": self.network_code} if self.network_code else {})


def split_key(text: str) -> tuple[Path, str | None] | None:
    """``FILE`` or ``FILE:KEY`` of a weights file; None if the text has no ending of a weights file."""
    match = _FILE.fullmatch(text)
    return (expanded(match["file"]), match["key"]) if match else None


def open_weights(
    text: str, file: Path, key: str | None, shape: Shape, asked: Asked, plugins: tuple[Path, ...]
) -> tuple[FileTarget, dict[str, Any]]:
    """Read a file and find its network; give the target and its provenance.

    Args:
        key: the address of a state dict in the file, or of a part of one; None: the usual keys, else any.
    Raises:
        HarnessError: the file cannot be read, does not fit a registered network for this data set, holds several
            networks that differ, or has an unclear normalisation.
    """
    held = read_weights_file(file)
    asked = _as_written(held, text, asked, plugins)
    states = state_dicts(held.content, text)
    named = text.removesuffix(f":{key}")
    known = statistics([*leaves(held.content), *leaves(held.notes)])
    scope = scope_of(states, key, named) if key is not None else ()
    search = Search(_eligible(states, scope, key), known, scope, shape)
    fits = recognise(search, text, named, asked, plugins)
    fits = [fit for fit in fits if key is not None and fit.place.address == scope] or fits
    fit, place = fits[0], fits[0].place
    _, converted = dense(place, fit.candidate.built, text)
    evidence = [evidence_of(known, each.place, [*each.copies, *(f.place for f in fits)], shape) for each in fits]
    differing = [
        each
        for each, its in zip(fits, evidence, strict=True)
        if each.network != fit.network
        or differ(fit.candidate, each.place, place, unreadable=True)
        or (not asked.decides and readable(its, shape) != readable(evidence[0], shape))
    ]
    rivals = [] if key is not None and place.address == scope else _rivals(fits, states, scope, known, asked)
    if rivals or differing:
        raise _several(text, named, [fit, *differing], rivals)
    gap = next(filter(None, (gap_of(each.place) for each in fits)), None)  # a gap at one copy stands for all
    inside, outcome = decide(evidence[0], gap, asked, shape, named)
    described = {name for its in evidence for name in its.names(place.state)}
    copies = list(values_in(fit.candidate, place.state, (), place.own))
    left_out, in_front = beside(place, copies, described | {*fit.unused})
    if key is not None:
        left_out = [*(f"the copy at {spelled(copy.address)}" for copy in copies), *left_out]
        if in_front and not asked.decides:
            raise TargetError(
                f"{text} leaves out {', '.join(shortened(in_front))}, which may act on the images before the network"
                f" does; {SAY} if the network takes images as they are, or bring the model as module:factory"
            )
    provenance = {"kind": "weights file", "target": text, "file_sha256": held.sha256}
    if not held.run or inside.mean or asked.no_normalisation:  # harness trains on images in [0, 1]
        provenance["normalisation"] = outcome
    target = FileTarget(
        label=text,
        preprocessing=inside,
        file=file.absolute(),
        path=place.state.path,
        prefix=place.prefix,
        network_code=code_of(type(fit.network)),
        file_sha256=held.sha256,
        network_name=fit.network.name,
        network_settings=fit.network.resolved(),
    )
    notes = _notes(fits, states, held.content, known, left_out)
    notes |= {"converted_to_float32": converted} if converted else {}
    notes |= {"trained_by_harness": held.run} if held.run else {}
    return target, provenance | notes


def _eligible(states: Sequence[StateDict], scope: Address, key: str | None) -> list[StateDict]:
    """The state dicts that may be the model's: the user's choice, else those at the usual places, else all."""
    if key is not None:
        return [state for state in states if state.within(scope)]
    usual = [state for state in states if all(key in NESTS for key in state.path)]
    return usual if any(state.path for state in usual) else list(states)


def _rivals(
    fits: Sequence[Recognised], states: Sequence[StateDict], scope: Address, known: Sequence[Statistic], asked: Asked
) -> list[Place]:
    """Other networks in the file that may be meant: with other values, or with a layer in front."""
    candidate, places = fits[0].candidate, [fit.place for fit in fits]
    rivals = []
    for state in states:
        here = [place for place in places if place.state is state]
        described = {name for statistic in known if statistic.path == state.path for name in statistic.names}
        for each in values_in(candidate, state, scope, {name for place in here for name in place.own}):
            wrapped = not asked.decides and not here and bool(beside(each, (), described)[1])
            if wrapped or differ(candidate, each, places[0], unreadable=False):
                rivals.append(each)
    return rivals


def _several(label: str, file: str, fits: Sequence[Recognised], rivals: Sequence[Place]) -> TargetError:
    """The refusal of a file with several networks that differ; it says what to type to choose one.

    A network is named by its state dict, if the state dict holds no other copy.
    """
    addresses = []
    for fit in fits:
        state = fit.place.state
        alone = len(fit.copies) == 1 and all(each.state is not state for each in rivals)
        addresses.append(state.path if alone and state.path else fit.place.address)
    addresses += [each.key for each in rivals if each.key is not None]
    without = [spelled(each.address) for each in rivals if each.key is None]
    text = f"{label} holds {len(fits) + len(rivals)} networks that differ; say which one: {choices(file, addresses)}"
    return TargetError(text + (f"; no key chooses the one that has {', '.join(shortened(without))}" if without else ""))


def _notes(
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


def _as_written(held: WeightsFile, text: str, asked: Asked, plugins: tuple[Path, ...]) -> Asked:
    """The network and settings: from a file that harness wrote, as written there; else as the user named them."""
    run = held.run.get("run")
    if not isinstance(run, Mapping) or not isinstance(run.get("network"), str):
        return asked
    name, settings = run["network"], run.get("network_settings")
    if asked.network_name not in (None, name):
        raise TargetError(f"--arch {asked.network_name} contradicts {text}, which holds {name}; leave --arch out")
    try:
        cls = discover("networks", plugins).get(name)
    except (UnknownName, PluginError) as error:
        raise TargetError(f"{text} was trained with the network {name}: {error}; give its --plugin FILE.py") from None
    known = {info.name for info in cls.describe()}
    written = {k: v for k, v in cast(Mapping[str, Any], settings or {}).items() if k in known}
    return asked._replace(network_name=name, values={**written, **asked.values})
