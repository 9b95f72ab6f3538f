"""Which registered network a state dict belongs to, told from its names and shapes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from harness.errors import HarnessError, SettingError
from harness.network import Network, Shape
from harness.overrides import make
from harness.plugins import discover
from harness.settings import Plugin
from harness.targets.comparison import Candidate, Differences, compare, other_data
from harness.targets.errors import TargetError
from harness.targets.state_dict import Reading

_BUILDS = 200  # of one network with inferred settings, at most
_ORDINARY = (32, 32)  # a size that most networks take, where they do not take the data set's


@dataclass(frozen=True)
class Recognised:
    """A network, and the reading of a file's tensors that is its state dict.

    Attributes:
        unused: parameters in the file that published code registers and never uses.
    """

    network: Network
    reading: Reading
    unused: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Trial:
    candidate: Candidate
    reading: Reading
    differences: Differences

    @property
    def distance(self) -> float:
        """0 for a fit; else the share of all names, the network's and the file's, that are not a match in shape."""
        every = len(self.candidate.expected.keys() | self.reading.tensors.keys())
        return len(self.differences) / every if every else 1.0


def recognise(
    readings: Sequence[Reading],
    label: str,
    shape: Shape,
    *,
    arch: str | None,
    values: Mapping[str, Any],
    plugins: tuple[Path, ...],
) -> Recognised:
    """The network whose state dict has these names and shapes; its settings are inferred where they show in shapes.

    Args:
        readings: of the tensors, the likeliest first.
        arch, values: the network and settings that are known already; None: every registered network is tried.
    Raises:
        TargetError: none fits, or several do; names the first keys that differ from the nearest one, with shapes.
        UnknownName: there is no network ``arch``.
        SettingError: a refused setting.
    """
    catalogue = discover("networks", plugins)
    catalogue.refuse_broken(plugins)
    classes = {name: catalogue.get(name) for name in ([arch] if arch is not None else sorted(catalogue.found))}
    if arch is None:
        classes = {n: cls for n, cls in classes.items() if {info.name for info in cls.describe()} >= set(values)}
    fits: dict[str, Recognised] = {}
    others: list[str] = []
    nearest: _Trial | None = None
    for name, cls in classes.items():
        for candidate in _candidates(cls, name, values, readings[0].tensors, shape):
            trials = (_Trial(candidate, reading, compare(candidate, reading.tensors)) for reading in readings)
            trial = min(trials, key=lambda trial: trial.distance)
            other = other_data(candidate, trial.differences, label, shape)
            if other is not None:
                others.append(other)
            elif not trial.differences:
                unused = tuple(key for key in trial.reading.tensors if candidate.unused(key))
                fits[name] = Recognised(candidate.network, trial.reading, unused)
                break
            if nearest is None or trial.distance < nearest.distance:
                nearest = trial
    if len(fits) > 1:
        raise TargetError(f"{label} fits the networks {' and '.join(fits)}; say which one with --arch")
    if fits:
        return next(iter(fits.values()))
    if others:
        raise TargetError(others[0])
    if nearest is None:
        raise TargetError(f"{label}: no network can be built for it with {_settings(values)}; name another --arch")
    raise TargetError(_mismatch(label, arch, nearest))


def _candidates(
    cls: type[Plugin], name: str, values: Mapping[str, Any], tensors: dict[str, Tensor], shape: Shape
) -> Iterator[Candidate]:
    """The network with its defaults, then with settings that a file's tensors suggest.

    Integer settings that are not given may be any extent that occurs among the tensors; those at their defaults come
    first. A setting that shows in no shape keeps its default.
    """
    extents = sorted({extent for tensor in tensors.values() for extent in tensor.shape})
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
    """The network on no device: names and shapes. None where it cannot be built, at an ordinary size neither."""
    refusal = None
    try:
        expected = _expected(network, shape)
    except HarnessError as error:
        refusal = str(error)
        try:
            expected = _expected(network, shape._replace(height=_ORDINARY[0], width=_ORDINARY[1]))
        except Exception:  # not at that size either
            return None
    except Exception:  # a plugin's network may not stand settings that are only tried
        return None
    return Candidate(network, expected, refusal)


def _expected(network: Network, shape: Shape) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in network.build(shape).state_dict().items()}


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items()) or "its default settings"


def _mismatch(label: str, arch: str | None, nearest: _Trial) -> str:
    name = nearest.candidate.network.name
    lead = f"{label} is not a state dict of {name}" if arch else f"{label} fits no registered network; nearest {name}"
    other = "choose another --arch" if arch else "name the network with --arch, add yours with --plugin"
    return f"{lead}: {nearest.differences.told()}: {other}, or bring the model as module:factory"
