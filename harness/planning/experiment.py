"""An experiment in a file: methods x networks x data sets, under one protocol, with the numbers of seeds.

``harness run FILE.toml`` expands it to the requests that a user would type one by one, so all identities are the same.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.errors import SettingError, UnknownName
from harness.planning.configuration import class_order_beside, dataset_beside
from harness.planning.experiment_grid import grid_texts
from harness.planning.experiment_protocol import BASE, protocol_texts
from harness.planning.request import SHORT_FORMS, RunRequest
from harness.protocols.toml_file import read_toml

LISTS = {"methods": "method", "networks": "network", "datasets": "data set", "wrap": "wrapper"}
LABELLED = ("methods", "networks")  # names that may have settings
COUNTS = ("seeds", "train-seeds", "limit", "eval-every", "image-size", "channels")
KEYS = ("summary", *LISTS, *COUNTS, "class-order", "checks", "protocol", "grid")
OF_RUN = (
    *("device", "devices", "per-device", "devices-per-run", "workers", "time-limit"),
    *("executor", "ray-address", "allow-mixed"),
    *("plain", "state-every", "deterministic", "track"),
)
ELSEWHERE = ("db", "runs-dir", "data-dir", "plugins", "plugin", *OF_RUN)
"""What belongs to a machine and not to an experiment."""


@dataclass(frozen=True)
class Labelled:
    """A method or a network with settings, as the leaderboard labels it: ``lrat floor=pgd``."""

    name: str
    settings: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[str, ...]:
        """The settings as ``--set`` takes them, each with the name in front: they change nothing else."""
        return tuple(f"{self.name}.{setting}" for setting in self.settings)


@dataclass(frozen=True)
class Part:
    """A request of an experiment: one data set, one network, and methods of different names.

    Attributes:
        title: the data set and the network, as the file says them.
        places: where each method stands in the experiment's list.
    """

    title: str
    request: RunRequest
    places: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What an experiment's file says, checked as far as names need not be known.

    Attributes:
        shared: fields of every request.
        values: changes to the protocol, as ``--set`` takes them.
        grid: settings with several values each, as ``--grid`` takes them.
        keys: field of a request -> the file's key that says it, and the value as written.
    """

    file: Path
    methods: tuple[Labelled, ...]
    networks: tuple[Labelled, ...]
    datasets: tuple[str, ...]
    shared: Mapping[str, Any] = field(default_factory=dict)
    values: tuple[str, ...] = ()
    grid: tuple[str, ...] = ()
    keys: Mapping[str, tuple[str, Any]] = field(default_factory=dict)

    def parts(self, base: RunRequest) -> Iterator[Part]:
        """The requests, data set by data set and network by network.

        A method that is named several times, with different settings, stands in several requests.

        Args:
            base: what else is wanted: the device and the places, and changes to the protocol, which hold over the
                file's.
        """
        for dataset, network in itertools.product(self.datasets, self.networks):
            fixed = replace(base, dataset=dataset, network=network.name, **self.shared)
            title = " ".join((f"{dataset},", network.name, *network.settings))
            for places in self._rounds():
                names = tuple(self.methods[place].name for place in places)
                settings = [value for place in places for value in self.methods[place].values]
                absent = {method.name for method in self.methods} - {*names}
                more = [value for value in base.values if value.partition(".")[0] not in absent]
                values = (*self.values, *network.values, *settings, *more)
                grid = [text for text in (*self.grid, *base.grid) if text.partition(".")[0] not in absent]
                yield Part(title, replace(fixed, methods=names, values=values, grid=tuple(grid)), places)

    def under(self, typed: Mapping[str, Any]) -> tuple[Experiment, list[str]]:
        """The experiment without what the command line says, and a line for each key that gives way.

        Args:
            typed: the options of the command line, by the field of a request that they fill.
        """
        firsts = {"network": ("networks", Labelled), "dataset": ("datasets", str)}
        lists = {key: (kind(typed[name]),) for name, (key, kind) in firsts.items() if name in typed}
        shared = {name: value for name, value in self.shared.items() if name not in typed}
        said = {text.partition("=")[0] for text in (*typed.get("values", ()), *typed.get("grid", ()))}
        said |= {key for name, key in SHORT_FORMS.items() if name in typed}
        changed = [text for text in self.values if text.partition("=")[0] in said]
        crossed = [text for text in self.grid if text.partition("=")[0] in said]
        gone = [f"{key} = {value}" for name, (key, value) in self.keys.items() if name in typed]
        gone += [f"protocol.{text.replace('=', ' = ', 1)}" for text in changed]
        gone += [f"grid.{text.replace('=', ' = ', 1)}" for text in crossed]
        notes = [f"the command line holds, and not {text} of {self.file}" for text in gone]
        kept = tuple(text for text in self.values if text not in changed)
        grid = tuple(text for text in self.grid if text not in crossed)
        return replace(self, **lists, shared=shared, values=kept, grid=grid), notes  # type: ignore[arg-type]

    def _rounds(self) -> list[tuple[int, ...]]:
        """Places of the methods: the first of each name, then the second of each name, and so on."""
        rounds: list[list[int]] = []
        seen: Counter[str] = Counter()
        for place, method in enumerate(self.methods):
            if seen[method.name] == len(rounds):
                rounds.append([])
            rounds[seen[method.name]].append(place)
            seen[method.name] += 1
        return [tuple(places) for places in rounds]


def is_experiment(words: Sequence[str]) -> bool:
    """Whether the methods of a command line are an experiment's file.

    Raises:
        SettingError: a file stands beside other words, or does not exist.
    """
    files = [word for word in words if word.endswith(".toml")]
    if files and len(words) > 1:
        raise SettingError(f"{files[0]} is an experiment file: give it alone, or give methods")
    if files and not Path(files[0]).exists():
        raise SettingError(f"there is no experiment file {files[0]}; check its path")
    return bool(files)


def read_experiment(file: Path) -> Experiment:
    """Read an experiment's file.

    Raises:
        SettingError: it is not TOML, or a key or a value is refused; one line that names the file.
    """
    content = read_toml(file, f"the experiment {file}")
    for key in content:
        if key in ELSEWHERE:
            place = "harness.toml" if key not in OF_RUN else "harness.toml, below [run]"
            raise SettingError(f"{file}: {key} is refused: it belongs to a machine; write it in {place}")
        if key not in KEYS:
            raise SettingError(f"{file}: {UnknownName('key', key, KEYS)}")
    if "methods" not in content:
        raise SettingError(f'{file} names no methods; add a line such as methods = ["sat", "lrat floor=pgd"]')
    lists = {key: _names(file, key, content[key]) for key in LISTS if key in content}
    named = {key: tuple(_labelled(file, key, text) for text in lists[key]) for key in lists if key in LABELLED}
    datasets = tuple(_beside(file, text) for text in lists.get("datasets", (RunRequest.dataset,)))
    protocol, values = protocol_texts(file, content.get("protocol", {}))
    shared = dict(_shared(file, content)) | ({"wrap": lists["wrap"]} if "wrap" in lists else {})
    keys = {key.replace("-", "_"): (key, content[key]) for key in content if key.replace("-", "_") in shared}
    keys |= {key.removesuffix("s"): (key, content[key]) for key in ("networks", "datasets") if key in content}
    if protocol is not None:
        shared["protocol"], keys["protocol"] = protocol, (f"protocol.{BASE}", protocol)
    return Experiment(
        file=file,
        methods=named["methods"],
        networks=named.get("networks", (Labelled(RunRequest.network),)),
        datasets=datasets,
        shared=shared,
        values=values,
        grid=grid_texts(file, content.get("grid", {})),
        keys=keys,
    )


def _names(file: Path, key: str, texts: Any) -> tuple[str, ...]:
    """A list of names: at least one, each once; wrappers may be none."""
    if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
        raise SettingError(f"{file}: {key} = {texts!r} is refused: it must be a list of names")
    if not texts and key != "wrap":
        raise SettingError(f"{file}: {key} is empty; name at least one {LISTS[key]}, or leave the line out")
    names = tuple(" ".join(text.split()) if key != "datasets" else text.strip() for text in texts)
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise SettingError(f"{file}: {key} names {twice!r} twice; leave one out")
    return names


def _labelled(file: Path, key: str, text: str) -> Labelled:
    name, *settings = text.split()
    wrong = next((setting for setting in settings if not setting.partition("=")[0] or "=" not in setting), None)
    if wrong is not None or "=" in name:
        raise SettingError(f"{file}: {text!r} in {key} is refused: write NAME KEY=VALUE ..., such as 'lrat floor=pgd'")
    return Labelled(name, tuple(settings))


def _shared(file: Path, content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys that are options of every request, by its field."""
    kinds = {**dict.fromkeys(COUNTS, int), "class-order": str, "checks": bool}
    rules = {int: "a whole number", str: "a text", bool: "true or false"}
    if not isinstance(content.get("summary", ""), str):
        raise SettingError(f"{file}: summary = {content['summary']!r} is refused: it must be a text")
    for key, kind in kinds.items():
        if key in content:
            value = content[key]
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                raise SettingError(f"{file}: {key} = {value!r} is refused: it must be {rules[kind]}")
            yield key.replace("-", "_"), class_order_beside(str(value), file.parent) if key == "class-order" else value


def _beside(file: Path, dataset: str) -> str:
    """A data set; the path of a folder is relative to the experiment's folder."""
    try:
        return dataset_beside(dataset, file.parent)
    except SettingError as error:
        raise SettingError(f"{file}: {error}") from None
