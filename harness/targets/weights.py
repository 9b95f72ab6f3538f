"""A target that is a weights file, and a registered network to load it into."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import nn

from harness.errors import PluginError, UnknownName
from harness.network import Shape
from harness.plugins import discover
from harness.targets.errors import TargetError
from harness.targets.preprocessing import Preprocessing, merge
from harness.targets.recognise import Recognised, recognise
from harness.targets.state_dict import clean, unnest, variants
from harness.targets.target import Target
from harness.targets.weights_file import SUFFIXES, WeightsFile, read_weights_file

_FILE = re.compile(rf"(?P<file>.*(?:{'|'.join(re.escape(suffix) for suffix in SUFFIXES)}))(?::(?P<key>[^:/]+))?")


@dataclass(frozen=True, kw_only=True)
class WeightsTarget(Target):
    """A network of a known name and settings, with the weights of a file.

    Attributes:
        file: absolute.
        key: the dotted key under which the file keeps the state dict; empty for the top.
        file_sha256: of the file when it was opened.
    """

    file: Path
    key: str
    file_sha256: str
    network_name: str
    network_settings: dict[str, Any]

    def network(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        held = read_weights_file(self.file)
        if held.sha256 != self.file_sha256:
            raise TargetError(f"the weights file {self.file} changed since it was opened; run the command again")
        recognised, _ = _recognised(
            held, self.label, self.key or None, shape, self.network_name, self.network_settings, plugins
        )
        network = recognised.network.build(shape)
        network.load_state_dict(
            {name: t for name, t in recognised.variant.tensors.items() if name not in recognised.unused}, strict=False
        )  # not strict for want of num_batches_tracked alone: all else was compared
        return network

    def architecture(self, network: nn.Module) -> tuple[str, dict[str, Any]]:
        return self.network_name, self.network_settings

    def context(self) -> dict[str, Any]:
        return {"network": self.network_name, "settings": self.network_settings}


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
) -> tuple[WeightsTarget, dict[str, Any]]:
    """Read a file and find its network; the target and its provenance.

    Raises:
        HarnessError: the file cannot be read, or is not the weights of a registered network for this data set.
    """
    held = read_weights_file(file)
    name, settings = _named_inside(held, text, arch, plugins)
    recognised, notes = _recognised(held, text, key, shape, name, {**settings, **values}, plugins)
    network = recognised.network
    variant = recognised.variant
    provenance = {"kind": "weights file", "target": text, "file_sha256": held.sha256, **notes}
    if variant.prefix:
        provenance["prefix_stripped"] = variant.prefix
    if variant.normalisation is not None:
        provenance["normalisation"] = "from the file's buffers, put inside the model"
    if recognised.unused:
        provenance["unused"] = list(recognised.unused)
    if held.run:
        provenance["trained_by_harness"] = held.run
    target = WeightsTarget(
        label=text,
        preprocessing=merge(preprocessing, variant.normalisation),
        file=file.absolute(),
        key=notes.get("nested_under", ""),
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
) -> tuple[Recognised, dict[str, Any]]:
    tensors, path = unnest(held.content, key, label)
    tensors, notes = clean(tensors, label)
    if path:
        notes["nested_under"] = path
    readings = variants(tensors, shape.channels)
    return recognise(readings, label, shape, arch=arch, values=values, plugins=plugins), notes


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
