"""What a command asks for, resolved and validated: nothing is written before all of it is known to be good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from harness.attack import Attack
from harness.dataset import Dataset, DataSource
from harness.device import arithmetic, resolve_device
from harness.errors import SettingError, UnknownName
from harness.identity import digest
from harness.method import Method
from harness.network import Network
from harness.plugins import KINDS, Catalogue, discover
from harness.protocol import Protocol, load_protocol
from harness.settings import Plugin
from harness.spec import RunSpec
from harness.store.records import DatasetRecord, ProtocolRecord
from harness.threat import Threat
from harness.wrapper import Wrapper


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user may ask of ``harness run``, as given. Each field's part in identity is in ``FATE``."""

    methods: tuple[str, ...]
    wrap: tuple[str, ...] = ()
    arch: str = "resnet18"
    dataset: str = "cifar10"
    image_size: int | None = None
    protocol: str | None = None
    epochs: int | None = None
    precision: str | None = None
    values: tuple[str, ...] = ()
    seeds: int = 5
    train_seeds: int = 1
    limit: int | None = None
    device: str | None = None
    data_dir: Path = Path("data")
    plugins: tuple[Path, ...] = ()


FATE: dict[str, str] = {
    **dict.fromkeys(("methods", "wrap", "arch", "dataset", "image_size", "epochs", "precision", "values"), "identity"),
    "protocol": "identity",  # by its content: its name plays no part
    **dict.fromkeys(("seeds", "train_seeds", "limit"), "selection"),  # which identities, not what they are
    **dict.fromkeys(("device", "data_dir", "plugins"), "provenance"),
}
"""For each field of a request: part of a run's identity, a choice of how many, or provenance alone."""


@dataclass(frozen=True, kw_only=True)
class DatasetPlace:
    """How a worker finds the data set again: its source, and where downloads are kept."""

    source: str
    settings: dict[str, Any]
    data_dir: Path


@dataclass(frozen=True, kw_only=True)
class Job:
    """A method's runs and their evaluations, ready to be planned."""

    specs: tuple[RunSpec, ...]  # one a train seed
    method: Method
    wrappers: tuple[Wrapper, ...]
    network: Network
    parameters: int
    dataset: Dataset
    place: DatasetPlace
    protocol: Protocol
    attacks: dict[str, Attack]
    threat: Threat
    seeds: int
    examples: int
    device: torch.device
    plugins: tuple[Path, ...]

    def attack_settings(self, attack: str) -> dict[str, Any]:
        """What identifies an attack's results; the block size too, where random numbers are drawn by block."""
        plugin = self.attacks[attack]
        blocks = {"block_size": self.protocol.evaluation.block_size} if plugin.seeded else {}
        return plugin.settings_under(self.threat) | blocks

    def attack_seeds(self, attack: str) -> range:
        """The seeds an attack is run with: one, where it draws nothing."""
        return range(self.seeds if self.attacks[attack].seeded else 1)

    def dataset_record(self) -> DatasetRecord:
        """The data set as the store keeps it."""
        shape, data = self.dataset.shape, self.dataset
        return DatasetRecord(data.name, data.fingerprint, len(data.train), len(data.test), *shape)

    def protocol_record(self) -> ProtocolRecord:
        """The protocol as the store keeps it."""
        return ProtocolRecord(
            fingerprint=self.protocol.fingerprint,
            name=self.protocol.name,
            training_sha256=digest(self.protocol.training_document),
            attacks={name: digest(self.attack_settings(name)) for name in self.attacks},
            document=self.protocol.document(),
        )


def resolve(request: Request) -> list[Job]:
    """Check everything a request asks for, and load its data set.

    Raises:
        HarnessError: anything that cannot be done, in one line. Nothing has been written.
    """
    if not request.methods:
        raise SettingError("no method is named; `harness list methods` shows those that are there")
    for name in ("seeds", "train_seeds", "limit", "epochs", "image_size"):
        value = getattr(request, name)
        if value is not None and value < 1:
            raise SettingError(f"--{name.replace('_', '-')} {value} is refused: it must be 1 or more")
    catalogues = {kind: discover(kind, request.plugins) for kind in KINDS}
    methods = {name: catalogues["methods"].get(name) for name in dict.fromkeys(request.methods)}
    wrappers = {name: catalogues["wrappers"].get(name) for name in dict.fromkeys(request.wrap)}
    network_class = catalogues["networks"].get(request.arch)
    source_class, source_values = _source(catalogues["datasets"], request)
    protocol = load_protocol(request.protocol or cast(type[DataSource], source_class).protocol)

    owners = {request.arch: network_class, source_class.name: source_class, **wrappers, **methods}
    values = _assign(request.values, owners, protocol, catalogues["attacks"])
    shortcuts = {"train.epochs": request.epochs, "train.precision": request.precision}
    protocol = protocol.with_values(values.pop("") | {key: v for key, v in shortcuts.items() if v is not None})
    attacks = {
        name: cast(Attack, _make(catalogues["attacks"].get(name), name, protocol.attack_settings.get(name, {})))
        for name in protocol.evaluation.attacks
    }
    network = cast(Network, _make(network_class, request.arch, values[request.arch]))
    source = cast(DataSource, _make(source_class, source_class.name, source_values | values[source_class.name]))
    wrapped = tuple(cast(Wrapper, _make(cls, name, values[name])) for name, cls in wrappers.items())
    made = {name: cast(Method, _make(cls, name, values[name])) for name, cls in methods.items()}

    device = resolve_device(request.device)
    with arithmetic(device, protocol.train.precision):
        pass  # refuses a precision that the device lacks
    dataset = source.load(request.data_dir)
    with torch.device("meta"):
        parameters = sum(p.numel() for p in network.build(dataset.shape).parameters())
    if request.limit is not None and request.limit > len(dataset.test):
        raise SettingError(f"--limit {request.limit} is refused: {dataset.name} has {len(dataset.test)} test images")
    return [
        Job(
            specs=tuple(
                RunSpec(
                    method=name,
                    method_settings=method.resolved(),
                    network=request.arch,
                    network_settings=network.resolved(),
                    dataset=dataset.name,
                    dataset_fingerprint=dataset.fingerprint,
                    training=protocol.training_document,
                    train_seed=seed,
                    wrappers=tuple(
                        {"name": w.name, "settings": w.resolved(), "departures": w.departures()} for w in wrapped
                    ),
                )
                for seed in range(request.train_seeds)
            ),
            method=method,
            wrappers=wrapped,
            network=network,
            parameters=parameters,
            dataset=dataset,
            place=DatasetPlace(source=source.name, settings=source.resolved(), data_dir=request.data_dir),
            protocol=protocol,
            attacks=attacks,
            threat=protocol.evaluation.threat(protocol.epsilon),
            seeds=request.seeds,
            examples=request.limit or len(dataset.test),
            device=device,
            plugins=request.plugins,
        )
        for name, method in made.items()
    ]


def _source(catalogue: Catalogue, request: Request) -> tuple[type[Plugin], dict[str, Any]]:
    """The class and the settings that ``--dataset NAME:ARGUMENT`` and ``--image-size`` name."""
    name, colon, argument = request.dataset.partition(":")
    cls = cast(type[DataSource], catalogue.get(name))
    values: dict[str, Any] = {}
    if cls.argument and not argument:
        raise SettingError(f"--dataset {name} needs its {cls.argument}: write --dataset {name}:{cls.argument.upper()}")
    if colon and not cls.argument:
        raise SettingError(f"--dataset {name} takes nothing after the colon; write --dataset {name}")
    if cls.argument:
        values[cls.argument] = argument
    if request.image_size is not None:
        if "image_size" not in {info.name for info in cls.describe()}:
            raise SettingError(f"--image-size is for folders of images; {name} has a size of its own")
        values["image_size"] = request.image_size
    return cls, values


def _assign(
    texts: Sequence[str], owners: Mapping[str, type[Plugin]], protocol: Protocol, attacks: Catalogue
) -> dict[str, dict[str, str]]:
    """Sort ``key=value`` texts by what they belong to: '' for the protocol and its attacks, or an owner's name."""
    places = {key: ("", key) for key in protocol.setting_names()}
    for name in protocol.evaluation.attacks:
        places |= {f"{name}.{info.name}": ("", f"{name}.{info.name}") for info in attacks.get(name).describe()}
    for name, cls in owners.items():
        places |= {f"{name}.{info.name}": (name, info.name) for info in cls.describe()}
    values: dict[str, dict[str, str]] = {"": {}, **{name: {} for name in owners}}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise SettingError(f"--set {text} is refused: write --set key=value")
        matches = [place for place in places if place == key] or [p for p in places if p.endswith(f".{key}")]
        if not matches:
            raise UnknownName("setting", key, {leaf for place in places for leaf in (place, place.split(".")[-1])})
        if len(matches) > 1:
            raise SettingError(f"--set {text} is refused: {key} could be {' or '.join(matches)}; write one of them")
        owner, field = places[matches[0]]
        values[owner][field] = value
    return values


def _make(cls: type[Plugin], name: str, values: Mapping[str, Any]) -> Plugin:
    try:
        return cls.from_mapping(values)
    except SettingError as error:
        raise SettingError(f"{name}: {error}") from None
