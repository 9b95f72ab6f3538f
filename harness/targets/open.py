"""Opening a target: which kind it is, what model it gives, and whether that can be evaluated."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from harness.errors import SettingError, did_you_mean
from harness.plugin.network import Shape
from harness.targets.conformity import check_conformity
from harness.targets.errors import TargetError
from harness.targets.factory import FactoryTarget, open_factory
from harness.targets.normalisation import formula, normalises_by_itself
from harness.targets.preprocessing import Preprocessing
from harness.targets.target import Opened, Target, conversions, quiet, seeded
from harness.targets.weights import open_weights, split_key
from harness.targets.weights_file import SUFFIXES, similar_files
from harness.targets.zoo import PREFIX, open_zoo

TARGET_KINDS = f"a weights file (*{', *'.join(SUFFIXES)}), module:factory, FILE.py:factory, or robustbench:NAME"


def open_target(
    text: str,
    *,
    dataset: str,
    shape: Shape,
    images: Tensor,
    data_dir: Path,
    network_name: str | None = None,
    network_values: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
    plugins: tuple[Path, ...] = (),
    no_normalisation: bool = False,
) -> Opened:
    """Open a model that harness did not train, pass images through it, and say what it is.

    Args:
        text: a weights file, one of its state dicts as FILE:KEY, ``module:factory``, or ``robustbench:NAME``.
        dataset: its name, by which RobustBench's zoo is searched.
        images: some of its test images, ``(n, channels, height, width)`` float32 in [0, 1], on the CPU.
        network_name, network_values: the registered network of a weights file, and settings of it; None: recognised.
        preprocessing: what is put inside the model.
        no_normalisation: whether the user says that images go into the network of a weights file as they are.
    Raises:
        HarnessError: it cannot be opened, or is no classifier of these images into these classes; one line.
    """
    asked = preprocessing or Preprocessing()
    values = network_values or {}
    asked.check_channels(shape.channels)
    if no_normalisation and asked.mean:
        raise SettingError("--no-normalisation and --mean with --std exclude each other; leave one out")
    target, provenance = _open(text, dataset, shape, data_dir, network_name, values, asked, plugins, no_normalisation)
    network = target.build(shape, plugins)
    target = target.seen(network)
    converted = conversions(network)
    if target.preprocessing.mean:
        _refuse_second_normalisation(network, text, shape, given=bool(asked.mean))
    target, sha256, notes = _conforming(target, network, shape, images, plugins)
    provenance |= notes
    name, settings = target.architecture(network)
    if converted and not target.own_types:
        provenance["converted_to_float32"] = converted
    if isinstance(target, FactoryTarget):
        provenance |= {"class": type(network).__name__}
        provenance["source_sha256"] = target.source.digest if target.source is not None else ""
        if asked.mean:
            provenance["normalisation"] = f"{formula(asked)}, as given"
    return Opened(
        target=target,
        sha256=sha256,
        network=name,
        network_settings=settings,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        provenance=provenance | {"preprocessing": target.preprocessing.resolved()},
        probe=target.probe(shape, plugins),
    )


def _conforming(
    target: Target, network: nn.Module, shape: Shape, images: Tensor, plugins: tuple[Path, ...]
) -> tuple[Target, str, dict[str, Any]]:
    """The target in the types in which it runs, its fingerprint, and notes for its provenance.

    A network that was built in other floating types is tried in float32 first, in which every evaluation computes. One
    that casts its images itself does not run so, and keeps its own types.
    """
    own = conversions(network)
    try:
        return target, *_conform(target, network, shape, images)
    except TargetError:
        if not own:
            raise
        as_it_came = replace(target, own_types=True)
        try:
            sha256, notes = _conform(as_it_came, target.build(shape, plugins), shape, images)
        except TargetError:
            pass
        else:
            return as_it_came, sha256, notes | {"own_types": f"kept, {', '.join(own)}: it does not run in float32"}
        raise


def _conform(target: Target, network: nn.Module, shape: Shape, images: Tensor) -> tuple[str, dict[str, Any]]:
    model = target.prepare(network)
    sha256 = target.fingerprint(model)  # before the first pass, which may change buffers: so each process builds it
    with quiet(), seeded(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a stranger's own
        return sha256, check_conformity(model, target.label, target.preprocessing.outputs, shape, images)


def _open(
    text: str,
    dataset: str,
    shape: Shape,
    data_dir: Path,
    network_name: str | None,
    values: Mapping[str, Any],
    asked: Preprocessing,
    plugins: tuple[Path, ...],
    no_normalisation: bool,
) -> tuple[Target, dict[str, Any]]:
    """The target and its provenance."""
    file = None if text.startswith(PREFIX) else split_key(text)
    if "://" in text:
        raise TargetError(f"{text} is refused: nothing is fetched from an address; download it, and name the file")
    if file is not None:
        options: dict[str, Any] = {
            "network_name": network_name,
            "values": values,
            "preprocessing": asked,
            "plugins": plugins,
        }
        return open_weights(text, *file, shape, **options, no_normalisation=no_normalisation)
    if no_normalisation:
        raise SettingError(f"--no-normalisation is refused: it is for weights files, and {text} is none; leave it out")
    if network_name is not None or values:
        what = f"--arch {network_name}" if network_name is not None else f"--set {next(iter(values))}=..."
        raise SettingError(f"{what} is refused: {text} brings its own network; it is for weights files")
    if text.startswith(PREFIX):
        return open_zoo(text, dataset, data_dir, asked)
    if ":" in text:
        return open_factory(text, asked)
    raise TargetError(_unknown(text))


def _unknown(text: str) -> str:
    path = Path(text).expanduser()
    if path.is_dir():
        inside = sorted(file.name for file in path.iterdir() if file.suffix in SUFFIXES)
        return f"{text} is a directory; name a weights file" + (f", such as {path / inside[0]}" if inside else "")
    if path.is_file():
        return f"{text} is not known to be a weights file by its ending; a TARGET is {TARGET_KINDS}"
    hint = did_you_mean(similar_files(path))
    return f"{text} is no target{f'; {hint}' if hint else ''}; a TARGET is a run's number, {TARGET_KINDS}"


def _refuse_second_normalisation(network: nn.Module, text: str, shape: Shape, *, given: bool) -> None:
    """A network that normalises by itself must not be given normalised images."""
    tensors = dict(network.named_buffers()) | dict(network.named_parameters())
    if normalises_by_itself(tensors, shape) or any(_normalises(module) for module in network.modules()):
        what, action = (
            ("--mean and --std are", "leave them out")
            if given
            else ("what is beside its weights is", "say --no-normalisation if the layer is all")
        )
        raise SettingError(
            f"{what} refused: {text} has a normalising layer of its own, and images would be normalised twice; {action}"
        )


def _normalises(module: nn.Module) -> bool:
    """A layer such as torchvision's Normalize, which keeps its values outside of buffers."""
    return "normaliz" in type(module).__name__.lower() and all(hasattr(module, name) for name in ("mean", "std"))
