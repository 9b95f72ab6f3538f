"""How models are attacked: by which attacks, in which ball, with how many seeds, on which images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch

from harness.errors import SettingError
from harness.identity import digest
from harness.plugin.attack import Attack
from harness.plugin.ball import refuse_radius
from harness.plugin.dataset import Dataset
from harness.plugin.images import Images
from harness.plugin.threat import Threat
from harness.protocols.protocol import Protocol
from harness.registry.catalogue import Catalogue, discover, make
from harness.registry.shipped import code_of, engine_code, ships
from harness.store.records import CheckpointRecord, DatasetRecord, ProtocolRecord
from harness.store.scope import ExaminationKind, Scope

EDITION = 3  # of the checks of rigour: raised when a check changes, so that models are examined again


@dataclass(frozen=True)
class DatasetPlace:
    """How a worker loads the data set: its source, where downloads are kept, and how much of it is read.

    Attributes:
        evaluation_only: whether only the test images are read: ``limit`` of them, or all.
        extra: the file of generated images that a training draws from, too.
    """

    source: str
    settings: dict[str, Any]
    data_dir: Path
    evaluation_only: bool = False
    limit: int | None = None
    extra: Path | None = None

    @property
    def key(self) -> str:
        """Names what is loaded there."""
        return digest(vars(self) | {"data_dir": str(self.data_dir), "extra": str(self.extra or "")})


@dataclass(frozen=True)
class GivenImages(DatasetPlace):
    """Images that this process holds; no other process can load them."""

    dataset: Dataset | None = None


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """How some models are attacked.

    Attributes:
        attacks: the protocol's attacks, and any others that the user names.
        chosen: the names of the attacks to run, among ``attacks``.
        checks: whether the checks of rigour are wanted, too.
        plain: whether each network is computed with its own layers alone, in training and under attack.
    """

    dataset: Dataset
    place: DatasetPlace
    protocol: Protocol
    attacks: dict[str, Attack]
    chosen: tuple[str, ...]
    threat: Threat
    seeds: int
    images: Images
    device: torch.device
    plugins: tuple[Path, ...]
    checks: bool = True
    plain: bool = False

    @property
    def examples(self) -> int:
        """How many test images are attacked."""
        return self.images.count

    def attack_settings(self, attack: str) -> dict[str, Any]:
        """What identifies an attack's results: its settings, and the block size if it draws random numbers by block.

        The attack's code is part of it if the code does not ship or has changed; so is the evaluator's version if it
        has changed. An attack that does not ship may mix the images of a block even if it draws nothing, so its
        results depend on how many images it takes together.
        """
        return dict(self._settled(attack)[0])

    def attack_digest(self, attack: str) -> str:
        """The SHA-256 of ``attack_settings``."""
        return self._settled(attack)[1]

    def _settled(self, attack: str) -> tuple[dict[str, Any], str]:
        """An attack's settings and their SHA-256: found once, since each block and each model asks for them."""
        if attack not in self._known_settings:
            plugin, size = self.attacks[attack], self.protocol.evaluation.block_size
            blocks = {"block_size": size} if plugin.seeded else {} if ships(type(plugin)) else {"images_together": size}
            settings = plugin.settings_under(self.threat) | blocks | _code(plugin)
            self._known_settings[attack] = settings, digest(settings)
        return self._known_settings[attack]

    @cached_property
    def _known_settings(self) -> dict[str, tuple[dict[str, Any], str]]:
        return {}

    def attack_seeds(self, attack: str) -> range:
        """The seeds that an attack runs with: only one if it draws nothing."""
        return range(self.seeds if self.attacks[attack].seeded else 1)

    @cached_property
    def attack_types(self) -> dict[str, type[Attack]]:
        """The classes of all registered attacks: a model may have verdicts of attacks that are not asked for now."""
        return {name: cast(type[Attack], found.cls) for name, found in discover("attacks", self.plugins).found.items()}

    @cached_property
    def scope(self) -> Scope:
        """What the checks of rigour depend on."""
        return Scope(
            threat=self.threat.resolved(),
            attacks={name: self.attack_digest(name) for name in self.protocol.evaluation.attacks},
            block_size=self.protocol.evaluation.block_size,
            examples=self.images.count,
            sample=self.images.sample,
        )

    def examination(self, kind: ExaminationKind) -> dict[str, Any]:
        """What identifies an examination, of the model itself or of its verdicts."""
        return self.scope.settings(kind) | {"edition": EDITION}

    def examined(self, checkpoint: CheckpointRecord) -> bool:
        """Whether the checks of rigour on the model itself are in the store."""
        return self.examination("model") in [examination.settings for examination in checkpoint.examinations]

    def dataset_record(self) -> DatasetRecord:
        """The data set as the store keeps it."""
        shape, data = self.dataset.shape, self.dataset
        return DatasetRecord(data.name, data.fingerprint, len(data.train), data.test_total, *shape, data.classes)

    def protocol_record(self) -> ProtocolRecord:
        """The protocol as the store keeps it."""
        return ProtocolRecord(
            fingerprint=self.protocol.fingerprint,
            name=self.protocol.name,
            training_sha256=digest(self.protocol.training_document),
            attacks=dict(self.scope.attacks),
            document=self.protocol.document(),
        )


def _code(attack: Attack) -> dict[str, str]:
    parts = {"code": code_of(type(attack)), "engine": engine_code("evaluation")}
    return {key: value for key, value in parts.items() if value}


def refuse_too_few_classes(chosen: Iterable[str], attacks: Mapping[str, Attack], dataset: Dataset) -> None:
    """Refuse attacks that need more classes than the data set has, before anything is trained or written.

    Raises:
        SettingError: names the refused attacks, and says what to type: the other attacks, and stand-ins for these.
    """
    classes, names = len(dataset.classes), list(chosen)
    refused = [name for name in names if attacks[name].fewest_classes > classes]
    if not refused:
        return
    going: list[str] = []
    for name in names:
        stand_ins = attacks[name].with_fewer_classes if classes >= Attack.fewest_classes else ()
        going += stand_ins if name in refused else (name,)
    needs = " and ".join(f"{name} needs {attacks[name].fewest_classes} classes or more" for name in refused)
    advice = f"type --attacks {','.join(dict.fromkeys(going))}" if going else "choose other attacks"
    raise SettingError(f"{needs}, and {dataset.name} has {classes}; {advice}")


def refuse_shape(chosen: Iterable[str], attacks: Mapping[str, Attack], threat: Threat, dataset: Dataset) -> None:
    """Refuse a ball, or attacks in it, that images of this shape rule out, before anything is trained or written.

    Raises:
        SettingError: the radius is larger than that of the ball of all images, or an attack cannot attack such images.
    """
    refuse_radius(threat.norm, threat.epsilon, "epsilon", dataset.shape[:3])
    for name in chosen:
        attacks[name].refuse_shape(threat, dataset.shape[:3])


def with_attacks(
    protocol: Protocol, catalogue: Catalogue, wrappers: Catalogue | None = None
) -> tuple[Protocol, dict[str, Attack]]:
    """The protocol with all settings of its attacks and wrappers resolved, as its fingerprint needs it; the attacks.

    Args:
        wrappers: where its wrappers are found; None: among those that need no ``--plugin``.
    Raises:
        UnknownName: the protocol names an attack or a wrapper, or has settings for an attack, that does not exist.
    """
    for name in protocol.attack_settings:
        catalogue.get(name)  # refuses a misspelt name; settings of attacks not asked for are dropped below
    attacks = {
        name: cast(Attack, make(catalogue.get(name), name, protocol.attack_settings.get(name, {})))
        for name in protocol.evaluation.attacks
    }
    settings = {name: attack.resolved() for name, attack in attacks.items()}
    code = {name: parts for name, attack in attacks.items() if (parts := _code(attack))}
    wrapped = {}
    for name, own in protocol.wrapper_settings.items():
        wrappers = wrappers or discover("wrappers")
        wrapped[name] = make(wrappers.get(name), name, own).resolved()
    return replace(protocol, wrapper_settings=wrapped, attack_settings=settings, attack_code=code), attacks
