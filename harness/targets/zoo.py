"""A target from RobustBench's zoo, by RobustBench's own package: ``robustbench:NAME``, ``robustbench:L2/NAME``."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from torch import nn

from harness.errors import did_you_mean, near_misses, one_line
from harness.files import writable_directory
from harness.plugin.ball import BALLS, LINF
from harness.plugin.network import Shape
from harness.targets.preprocessing import Preprocessing
from harness.targets.target import Target, TargetError, quiet
from harness.targets.weights_file import asked_for

PREFIX = "robustbench:"
_FOLDER = "robustbench"  # of the data directory
_INSTALL = "pip install 'robustness-harness[robustbench]'"
_FORCED, _UNFORCED = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"  # torch takes one of both


@dataclass(frozen=True, kw_only=True)
class ZooTarget(Target):
    """A model of the zoo: its code and its weights are RobustBench's."""

    name: str  # in the zoo
    dataset: str  # the name that RobustBench and harness share
    model_dir: Path  # where RobustBench keeps what it downloads; absolute
    threat_model: str = LINF  # the norm that the network was trained for; the attacks have the protocol's

    def network(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        utils = _import_robustbench("robustbench.utils")
        file = _weights(self.model_dir, self.dataset, self.threat_model, self.name)
        try:
            with writable_directory(file.parent), quiet(), tensors_alone(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # from older code in it and in timm
                model = utils.load_model(
                    model_name=self.name,
                    model_dir=self.model_dir,
                    dataset=self.dataset,
                    threat_model=self.threat_model,
                )
        except Exception as error:  # its downloaders may raise anything
            wanted = asked_for(error)
            if wanted is not None:
                refusal = (
                    f"loaded: the pickle of its weights in {file.parent} asks for {wanted}, which is not a tensor, and"
                    " no code from a file is ever run; put a file there that holds a state dict alone"
                )
            elif file.is_file():
                refusal = f"loaded from {file} ({one_line(error)}); delete that file to download it again"
            else:
                refusal = (
                    f"downloaded ({one_line(error)}); it is fetched once: try again with a connection, or put the file"
                    f" that RobustBench offers at {file}"
                )
            raise TargetError(f"{self.label} could not be {refusal}") from error
        return cast(nn.Module, model)

    def context(self) -> dict[str, Any]:
        return {"robustbench": self.name, "dataset": self.dataset, "threat_model": self.threat_model}


@contextlib.contextmanager
def tensors_alone() -> Iterator[None]:
    """Inside, ``torch.load`` unpickles tensors and plain containers, whatever its caller or the user asks for.

    RobustBench and timm call it, not harness. torch's own switch holds in all of them, also against the argument
    ``weights_only=False``, and in the processes that they start.
    """
    before = {name: os.environ.pop(name, None) for name in (_FORCED, _UNFORCED)}
    os.environ[_FORCED] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _weights(model_dir: Path, dataset: str, threat_model: str, name: str) -> Path:
    return model_dir / dataset / threat_model / f"{name}.pt"


def _read(text: str) -> tuple[str, str]:
    """The norm and the name that ``robustbench:NORM/NAME`` says; without a norm it is L-infinity."""
    norm, slash, name = text.removeprefix(PREFIX).rpartition("/")
    return norm if slash else LINF, name


def is_here(text: str, dataset: str, data_dir: Path) -> bool:
    """Whether a target needs no download: RobustBench has its file here, or the target is not from the zoo."""
    return not text.startswith(PREFIX) or _weights(data_dir / _FOLDER, dataset, *_read(text)).is_file()


def open_zoo(text: str, dataset: str, data_dir: Path, preprocessing: Preprocessing) -> tuple[ZooTarget, dict[str, Any]]:
    """Find a name in the zoo; give the target and its provenance. Weights are downloaded when it is first built.

    Raises:
        TargetError: the package is missing, or has no such name, or no network for this data set.
    """
    if preprocessing.mean:
        raise TargetError(f"--mean and --std are refused: {text} takes images in [0, 1]; leave them out")
    norm, name = _read(text)
    if norm not in BALLS:
        raise TargetError(
            f"{text} is refused: write {PREFIX}NAME, or {' or '.join(f'{PREFIX}{n}/NAME' for n in BALLS)}"
        )
    model_dir = (data_dir / _FOLDER).absolute()
    _check_name(name, dataset, norm)
    target = ZooTarget(
        label=text, preprocessing=preprocessing, name=name, dataset=dataset, model_dir=model_dir, threat_model=norm
    )
    return target, {"kind": "RobustBench zoo", "target": text, "threat_model": norm, "robustbench": _version()}


def _version() -> str:
    try:
        return metadata.version("robustbench")
    except metadata.PackageNotFoundError:
        return "not installed as a distribution"


def _check_name(name: str, dataset: str, norm: str) -> None:
    zoo = _import_robustbench("robustbench.model_zoo").model_dicts
    enums = _import_robustbench("robustbench.model_zoo.enums")
    datasets = {key.value: models for key, models in zoo.items() if enums.ThreatModel(norm) in models}
    if dataset not in datasets:
        of_norm = "" if norm == LINF else f" in {norm}"
        raise TargetError(
            f"RobustBench has no networks for the data set {dataset}{of_norm}; it has some for {', '.join(datasets)}:"
            f" give --dataset {next(iter(datasets), 'cifar10')}"
        )
    by_norm = {other: list(datasets[dataset].get(enums.ThreatModel(other), ())) for other in BALLS}
    known = by_norm[norm]
    if name not in known:
        prefix = PREFIX if norm == LINF else f"{PREFIX}{norm}/"
        near = [f"{PREFIX}{other}/{name}" for other, names in by_norm.items() if name in names]
        near = near or [f"{prefix}{other}" for other in near_misses(name, known, most=3)]
        hint = did_you_mean(near) or f"such as {prefix}{known[0]}"
        raise TargetError(
            f"RobustBench's zoo has no {name!r} for {dataset}, {norm}; {hint} {len(known)} are listed on"
            " https://robustbench.github.io"
        )


def _import_robustbench(module: str) -> Any:
    """Import a module of RobustBench. It takes seconds, so it is never done at start-up.

    RobustBench 1.1.1 imports AutoAttack by the module name ``autoattack``, of the authors' repository; the package on
    the registry, which harness and RobustBench both require, is named ``pyautoattack``. It gets the other name here.

    Raises:
        TargetError: RobustBench, or something that it needs, is not installed.
    """
    if importlib.util.find_spec("robustbench") is None:
        raise TargetError(f"{PREFIX}NAME needs the package robustbench, which is not installed: {_INSTALL}")
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecation warnings
            if "autoattack" not in sys.modules and importlib.util.find_spec("autoattack") is None:
                sys.modules["autoattack"] = importlib.import_module("pyautoattack")
                sys.modules["autoattack.state"] = importlib.import_module("pyautoattack.state")
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        lacking = error.name or str(error)
        if lacking.split(".")[0] == "pkg_resources":
            raise TargetError(
                f"robustbench imports pkg_resources, which setuptools 81 and newer do not have: {_INSTALL}, or"
                " pip install 'setuptools<81'"
            ) from error
        raise TargetError(f"robustbench cannot be imported, since {lacking} is missing: {_INSTALL}") from error
    except Exception as error:  # many packages, whose versions may not fit
        raise TargetError(f"robustbench cannot be imported ({one_line(error)}): {_INSTALL}") from error
