"""A request of ``harness bench``, resolved and checked: what is measured, on random images of which shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch

from harness.errors import SettingError
from harness.planning.request import RunRequest
from harness.planning.run_job import choose
from harness.planning.trials import count_parameters, training_passes
from harness.plugin.adversary import Objective, Variant
from harness.plugin.attack import Attack, Passes
from harness.plugin.dataset import Augmentation, Dataset, DataSource, Split
from harness.plugin.method import Method
from harness.plugin.network import Network, Shape
from harness.plugin.reach import WHOLE, Reach
from harness.plugin.threat import Threat
from harness.protocols.protocol import Protocol
from harness.registry.catalogue import discover, make
from harness.registry.loading import load
from harness.registry.shipped import ships
from harness.runtime.device import training_threads
from harness.runtime.seeds import generator

_PHOTOGRAPHS = Augmentation(crop_padding=4, flip=True)  # of the data sets whose shape is known without their images


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """What random images have of a data set: its shape, its levels, and how it is augmented."""

    name: str
    shape: Shape
    levels: int
    augmentation: Augmentation

    def images(self, count: int, device: torch.device) -> Dataset:
        """A data set of so many random images with random labels, which are its training and its test images."""
        draws, (channels, height, width, classes) = generator(device, 0, "bench"), self.shape
        size, place = (count, channels, height, width), {"generator": draws, "device": device}
        pixels = torch.randint(self.levels + 1, size, dtype=torch.uint8, **place)  # type: ignore[call-overload]
        part = Split(pixels, torch.randint(classes, (count,), **place))  # type: ignore[call-overload]
        names = tuple(map(str, range(classes)))
        return Dataset(self.name, part, part, names, self.levels, self.augmentation, identified_by="random images")


@dataclass(frozen=True, kw_only=True)
class BenchJob:
    """What is measured.

    Attributes:
        methods, attacks: those that ship and can be used here, by name.
        threads: of a training; an attack has one, since blocks run side by side.
    """

    methods: dict[str, Method]
    attacks: dict[str, Attack]
    network: Network
    likeness: Likeness
    protocol: Protocol
    device: torch.device
    plain: bool
    threads: int

    @property
    def training_threat(self) -> Threat:
        """The budget of the training attack."""
        return self.protocol.train.threat(self.protocol.epsilon)


def resolve_bench(request: RunRequest) -> BenchJob:
    """Check everything that a request asks for; its methods are those that ship. Images are read only for their shape.

    Raises:
        HarnessError: the request cannot be met; says why in one line.
    """
    methods = tuple(name for name, found in discover("methods").found.items() if ships(found.cls))
    choice = choose(replace(request, methods=methods))
    likeness = _likeness(choice.source, request)
    threat, values = choice.protocol.evaluation_threat, choice.protocol.attack_settings
    attacks = {
        name: cast(Attack, make(found.cls, name, values.get(name, {})))
        for name, found in discover("attacks").found.items()
        if ships(found.cls)
    }
    parameters = count_parameters(choice.network, likeness.shape, choice.device)
    return BenchJob(
        methods=choice.methods,
        attacks={name: attack for name, attack in attacks.items() if _usable(attack, threat, likeness.shape)},
        network=choice.network,
        likeness=likeness,
        protocol=choice.protocol,
        device=choice.device,
        plain=request.plain,
        threads=training_threads(parameters, choice.device),
    )


def _likeness(source: DataSource, request: RunRequest) -> Likeness:
    if source.outline is not None:
        return Likeness(name=source.name, shape=source.outline[0], levels=255, augmentation=_PHOTOGRAPHS)
    data = load(source, request.data_dir)
    return Likeness(name=data.name, shape=data.shape, levels=data.levels, augmentation=data.augmentation)


def _usable(attack: Attack, threat: Threat, shape: Shape) -> bool:
    try:
        attack.refuse_other_balls(threat)
        attack.refuse_shape(threat, shape[:3])
    except SettingError:
        return False
    return attack.fewest_classes <= shape.classes


def split_passes(method: Method, threat: Threat) -> tuple[Passes, Passes]:
    """The passes that one training image takes: while variants are crafted, and in the update."""
    whole, update = training_passes(method, threat), training_passes(method, threat, craft=_uncrafted)
    return Passes(whole.forward - update.forward, whole.backward - update.backward), update


def _uncrafted(
    model: torch.nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    objectives: Sequence[Objective],
    threat: Threat,
    draws: torch.Generator,
    reach: Reach = WHOLE,
) -> tuple[Variant, ...]:
    """The images themselves in place of variants, without a pass."""
    return tuple(Variant(x.clone(), torch.zeros_like(y)) for _ in objectives)
