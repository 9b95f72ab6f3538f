"""A target that is a weights file, and a registered network to load it into."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from harness.errors import PluginError, UnknownName
from harness.network import Shape
from harness.plugins import discover
from harness.shipped import code_of
from harness.targets.errors import TargetError
from harness.targets.normalisation import beside, gap, in_buffers, pairs_in_front
from harness.targets.preprocessing import Preprocessing, merge
from harness.targets.recognise import Recognised, recognise
from harness.targets.state_dict import Held, Reading, clean, copies, readings, shortly, unnest
from harness.targets.target import Target
from harness.targets.weights_file import SUFFIXES, WeightsFile, read_weights_file

_FILE = re.compile(rf"(?P<file>.*(?:{'|'.join(re.escape(suffix) for suffix in SUFFIXES)}))(?::(?P<key>[^:/]+))?")


@dataclass(frozen=True, kw_only=True)
class WeightsTarget(Target):
    """A network of a known name and settings, with the weights of a file.

    Attributes:
        file: absolute.
        key: the dotted key under which the file keeps the state dict, or the prefix of its names; empty for the top.
        file_sha256: of the file when it was opened.
        network_code: what identity takes of the network's code; empty for one that ships, at its first version.
    """

    file: Path
    key: str
    file_sha256: str
    network_name: str
    network_settings: dict[str, Any]
    network_code: str = ""

    def network(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        held = read_weights_file(self.file)
        if held.sha256 != self.file_sha256:
            raise TargetError(f"the weights file {self.file} changed since it was opened; run the command again")
        _, recognised, _ = _recognised(
            held, self.label, self.key or None, shape, self.network_name, self.network_settings, plugins
        )
        if code_of(type(recognised.network)) != self.network_code:
            raise TargetError(f"the code of the network {self.network_name!r} changed since {self.label} was opened")
        network = recognised.network.build(shape)
        network.load_state_dict(
            {name: t for name, t in recognised.reading.tensors.items() if name not in recognised.unused}, strict=False
        )  # not strict for want of num_batches_tracked alone: all else was compared
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
    arch: str | None,
    values: Mapping[str, Any],
    preprocessing: Preprocessing,
    plugins: tuple[Path, ...],
    no_normalisation: bool = False,
) -> tuple[WeightsTarget, dict[str, Any]]:
    """Read a file and find its network; the target and its provenance.

    Args:
        no_normalisation: whether the user says that images go into the network as they are, whatever the file has.
    Raises:
        HarnessError: the file cannot be read, is not the weights of a registered network for this data set, or may
            lack a normalisation.
    """
    held = read_weights_file(file)
    name, settings = _named_inside(held, text, arch, plugins)
    state, recognised, notes = _recognised(held, text, key, shape, name, {**settings, **values}, plugins)
    network, reading = recognised.network, recognised.reading
    differing = copies(reading, state.tensors)
    if differing and key is None:
        choices = " or ".join(f"{text}:{prefix}" for prefix in (reading.prefix.rstrip("."), *differing))
        raise TargetError(f"{text} holds {1 + len(differing)} copies of the network that differ; say which: {choices}")
    inside, told = _normalisation(held, state, reading, text, shape, preprocessing, no_normalisation)
    provenance = {"kind": "weights file", "target": text, "file_sha256": held.sha256, **notes, "normalisation": told}
    if reading.prefix:
        provenance["prefix_stripped"] = reading.prefix
    normalising = {name for pair in pairs_in_front(state.tensors) for name in pair}
    if left_out := [name for name in reading.left_out if name not in normalising]:
        provenance["left_out"] = shortly(left_out)
    if state.others:
        provenance["other_state_dicts"] = list(state.others)
    if recognised.unused:
        provenance["unused"] = list(recognised.unused)
    if held.run:
        provenance["trained_by_harness"] = held.run
    target = WeightsTarget(
        label=text,
        preprocessing=inside,
        file=file.absolute(),
        key=key or state.path,
        network_code=code_of(type(network)),
        file_sha256=held.sha256,
        network_name=network.name,
        network_settings=network.resolved(),
    )
    return target, provenance


def _recognised(
    held: WeightsFile,
    label: str,
    key: str | None,
    shape: Shape,
    arch: str | None,
    values: Mapping[str, Any],
    plugins: tuple[Path, ...],
) -> tuple[Held, Recognised, dict[str, Any]]:
    state = unnest(held.content, key, label)
    tensors, notes = clean(state.tensors, label)
    if state.path:
        notes["nested_under"] = state.path
    found = recognise(readings(tensors), label, shape, arch=arch, values=values, plugins=plugins)
    return replace(state, tensors=tensors), found, notes


def _normalisation(
    held: WeightsFile,
    state: Held,
    reading: Reading,
    text: str,
    shape: Shape,
    asked: Preprocessing,
    no_normalisation: bool,
) -> tuple[Preprocessing, str]:
    """What is put inside the model, and in words where that comes from.

    Raises:
        TargetError: the file shows that there is a normalisation, and not which one.
    """
    if no_normalisation:
        return asked, "none, as asked"
    found = in_buffers(_outer(state, reading), shape.channels)
    found = found or beside(held.content, state.path, shape.channels)
    inside = merge(asked, found.preprocessing if found is not None else None)
    if found is None and asked.mean:
        return inside, f"{_formula(inside)}, as given"
    if found is not None:
        return inside, f"{_formula(inside)}, from {found.place} in {text}"
    number = gap(state.prefix + reading.prefix)
    if number is not None:
        raise TargetError(
            f"{text}: the network is number {number} of a Sequential, so a layer without weights is in front of it,"
            " most likely a normalisation; say --mean and --std, or --no-normalisation if it is none"
        )
    return inside, f"none in {text}"


def _outer(state: Held, reading: Reading) -> dict[str, Tensor]:
    """The tensors outside of the network, by which a pair within it is not taken for one in front of it."""
    inside = {f"{state.prefix}{reading.prefix}{name}" for name in reading.tensors}
    return {name: tensor for name, tensor in (state.around or state.tensors).items() if name not in inside}


def _formula(inside: Preprocessing) -> str:
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (inside.mean, inside.std))
    return f"(x - {mean}) / {std}" if len(inside.mean) == 1 else f"(x - ({mean})) / ({std})"


def _named_inside(
    held: WeightsFile, text: str, arch: str | None, plugins: tuple[Path, ...]
) -> tuple[str | None, dict[str, Any]]:
    """The network and settings that harness wrote into a file of its own; what the user named in any other."""
    run = held.run.get("run")
    if not isinstance(run, Mapping) or not isinstance(run.get("network"), str):
        return arch, {}
    name, settings = run["network"], run.get("network_settings")
    if arch not in (None, name):
        raise TargetError(f"--arch {arch} contradicts {text}, which holds {name}; leave --arch out")
    try:
        cls = discover("networks", plugins).get(name)
    except (UnknownName, PluginError) as error:
        raise TargetError(f"{text} was trained with the network {name}: {error}; give its --plugin FILE.py") from None
    known = {info.name for info in cls.describe()}
    return name, {k: v for k, v in cast(Mapping[str, Any], settings or {}).items() if k in known}
