"""Opens a target: finds its kind, gets its model, and checks that the model can be evaluated."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from harness.errors import SettingError, did_you_mean
from harness.files import expanded
from harness.plugin.network import Shape
from harness.targets.conformity import check_conformity
from harness.targets.factory import FactoryTarget, open_factory
from harness.targets.normalisation import formula, normalises_by_itself
from harness.targets.preprocessing import Asked, Preprocessing
from harness.targets.target import Opened, Target, TargetError, conversions, quiet, seeded
from harness.targets.weights import open_weights, split_key
from harness.targets.weights_file import SUFFIXES, directory_refusal, refuse_missing, similar_files
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
    """Open a model that harness did not train, pass images through it, and describe it.

    Args:
        text: a weights file, one of its state dicts as FILE:KEY, ``module:factory``, or ``robustbench:NAME``.
        dataset: the data set's name, under which RobustBench's zoo is searched.
        images: some test images, ``(n, channels, height, width)`` float32 in [0, 1], on the CPU.
        network_name, network_values: the registered network of a weights file, and its settings; None: recognise it.
        preprocessing: what is put inside the model.
        no_normalisation: whether the user says that the network of a weights file takes images as they are.
    Raises:
        HarnessError: it cannot be opened, or does not classify these images into these classes; one line.
    """
    asked = Asked(network_name, network_values or {}, preprocessing or Preprocessing(), no_normalisation)
    asked.preprocessing.check_channels(shape.channels)
    if no_normalisation and asked.preprocessing.mean:
        raise SettingError("--no-normalisation and --mean with --std exclude each other; leave one out")
    refuse_unknown(text)
    target: Target
    file = _file(text)
    if file is not None:
        target, provenance = open_weights(text, *file, shape, asked, plugins)
    else:
        _refuse_options_of_files(text, asked)
        if text.startswith(PREFIX):
            target, provenance = open_zoo(text, dataset, data_dir, asked.preprocessing)
        else:
            target, provenance = open_factory(text, asked.preprocessing)
    network = target.build(shape, plugins)
    target = target.seen(network)
    if target.preprocessing.mean:
        refuse_second_normalisation(network, text, shape, given=bool(asked.preprocessing.mean))
    target, sha256, notes = conforming(target, network, shape, images, plugins)
    provenance |= notes
    name, settings = target.architecture(network)
    if isinstance(target, FactoryTarget):
        provenance |= {"class": type(network).__name__, "source_sha256": target.context()["source"]}
        if asked.preprocessing.mean:
            provenance["normalisation"] = f"{formula(asked.preprocessing)}, as given"
    return Opened(
        target=target,
        sha256=sha256,
        network=name,
        network_settings=settings,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        provenance=provenance | {"preprocessing": target.preprocessing.resolved()},
        probe=target.probe(shape, plugins),
    )


def refuse_unknown(text: str) -> None:
    """Refuse a target of no known kind, and a weights file that is not there, before any image is loaded.

    Raises:
        TargetError: says what a target may be, or which file is near.
    """
    if "://" in text:
        raise TargetError(f"{text} is refused: nothing is fetched from an address; download it, and name the file")
    file = _file(text)
    if file is not None:
        refuse_missing(file[0])
    elif ":" not in text:
        path = expanded(text)
        if path.is_dir():
            raise TargetError(directory_refusal(path))
        if path.is_file():
            raise TargetError(f"{text} is not known to be a weights file by its ending; a TARGET is {TARGET_KINDS}")
        hint = did_you_mean(similar_files(path))
        raise TargetError(
            f"{text} is no target{f'; {hint}' if hint else ''}; a TARGET is a run's number, {TARGET_KINDS}"
        )


def _file(text: str) -> tuple[Path, str | None] | None:
    """The weights file, and the key in it, that a target names; None for other kinds."""
    return None if text.startswith(PREFIX) else split_key(text)


def conforming(
    target: Target, network: nn.Module, shape: Shape, images: Tensor, plugins: tuple[Path, ...]
) -> tuple[Target, str, dict[str, Any]]:
    """The target in the floating types in which it runs, its fingerprint, and notes for its provenance.

    A network of other floating types is tried in float32 first, since evaluations compute in float32. A network that
    casts its images itself fails so, and keeps its own types.
    """
    own = conversions([*network.parameters(), *network.buffers()])
    try:
        sha256, notes = _conform(target, network, shape, images)
        return target, sha256, notes | ({"converted_to_float32": own} if own else {})
    except TargetError:
        if own:
            as_it_came = replace(target, own_types=True)
            with contextlib.suppress(TargetError):
                sha256, notes = _conform(as_it_came, target.build(shape, plugins), shape, images)
                return as_it_came, sha256, notes | {"own_types": f"kept, {', '.join(own)}: it does not run in float32"}
        raise


def _conform(target: Target, network: nn.Module, shape: Shape, images: Tensor) -> tuple[str, dict[str, Any]]:
    model = target.prepare(network)
    sha256 = target.fingerprint(model)  # taken before the first pass, which may change buffers
    with quiet(), seeded(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from a stranger's code
        return sha256, check_conformity(model, target.label, target.preprocessing.outputs, shape, images)


def _refuse_options_of_files(text: str, asked: Asked) -> None:
    name, values = asked.network_name, asked.values
    if asked.no_normalisation:
        raise SettingError(f"--no-normalisation is refused: it is for weights files, and {text} is none; leave it out")
    if name is not None or values:
        what = f"--arch {name}" if name is not None else f"--set {next(iter(values))}=..."
        raise SettingError(f"{what} is refused: {text} brings its own network; it is for weights files")


def refuse_second_normalisation(network: nn.Module, text: str, shape: Shape, *, given: bool) -> None:
    """A network that normalises by itself must not be given normalised images."""
    tensors = dict(network.named_buffers()) | dict(network.named_parameters())
    layers = [module for module in network.modules() if "normaliz" in type(module).__name__.lower()]
    # torchvision's Normalize and its like keep their values outside of buffers
    if normalises_by_itself(tensors, shape) or any(hasattr(m, "mean") and hasattr(m, "std") for m in layers):
        what = "--mean and --std are" if given else "the normalisation beside its weights is"
        action = "leave them out" if given else "say --no-normalisation if that layer is the only one"
        raise SettingError(
            f"{what} refused: {text} has a normalising layer of its own, and images would be normalised twice; {action}"
        )
