"""What can be ranked and compared: networks at a checkpoint, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.identity import canonical_json
from harness.store.records import CheckpointRecord, DatasetRecord, ModelRecord, RunRecord


@dataclass(frozen=True)
class Contestant:
    """One network at one checkpoint, and the words for it.

    Attributes:
        settings, arch_settings: those that are not the defaults.
        wrappers: what wraps the update, each with its settings that are not the defaults.
        kin: equal for networks of one row, which share everything but the training seed.
        number: of the run; None for a model from elsewhere, whose method is its name.
        train_seed, training_sha256: of the training, and of its protocol; None for a model from elsewhere.
    """

    method: str
    settings: dict[str, Any]
    wrappers: tuple[str, ...]
    arch: str
    arch_settings: dict[str, Any]
    kin: str
    number: int | None
    train_seed: int | None
    dataset: DatasetRecord
    training_sha256: str | None
    checkpoint: CheckpointRecord

    @property
    def label(self) -> str:
        """The method with what departs from its defaults, and what wraps it."""
        return label(self.method, self.settings, self.wrappers)

    @property
    def arch_label(self) -> str:
        """The network with what departs from its defaults."""
        return with_departures(self.arch, self.arch_settings)


def label(method: str, settings: dict[str, Any], wrappers: Iterable[str]) -> str:
    """A row's name."""
    return "+".join((with_departures(method, settings), *wrappers))


def with_departures(name: str, departures: dict[str, Any]) -> str:
    """A name with the settings that are not the defaults."""
    return name + "".join(f" {key}={value}" for key, value in departures.items())


def newest(runs: Iterable[RunRecord]) -> list[RunRecord]:
    """The newest attempt that is done of every identity, given the runs in the order of their numbers."""
    found: dict[str, RunRecord] = {}
    for run in runs:
        if run.status == "done":
            found[run.identity] = run
    return list(found.values())


def contestants(runs: Iterable[RunRecord], models: Iterable[ModelRecord] = ()) -> Iterator[Contestant]:
    """Every checkpoint of some runs, and some models from elsewhere."""
    for run in runs:
        for checkpoint in run.checkpoints:
            shared = [run.method, run.method_settings, run.wrappers, run.network, run.network_settings, run.code]
            yield Contestant(
                method=run.method,
                settings=run.method_departures,
                wrappers=tuple(with_departures(wrapper["name"], wrapper["departures"]) for wrapper in run.wrappers),
                arch=run.network,
                arch_settings=run.network_departures,
                kin=canonical_json([*shared, checkpoint.name, checkpoint.epoch]),
                number=run.id,
                train_seed=run.train_seed,
                dataset=run.dataset,
                training_sha256=run.training_sha256,
                checkpoint=checkpoint,
            )
    for model in models:
        yield Contestant(
            method=model.name,
            settings={},
            wrappers=(),
            arch=model.network,
            arch_settings=model.network_departures,
            kin=canonical_json(["model", model.identity]),
            number=None,
            train_seed=None,
            dataset=model.dataset,
            training_sha256=None,
            checkpoint=model.checkpoint,
        )
