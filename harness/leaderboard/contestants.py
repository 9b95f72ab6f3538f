"""What can be ranked and compared: checkpoints of runs, and models from elsewhere."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import TrainingFailed
from harness.identity import canonical_json
from harness.protocols.run_spec import TRIAL_SEED
from harness.store.attempts import only_earlier
from harness.store.earlier import Earlier
from harness.store.records import CheckpointRecord, DatasetRecord, ModelRecord, ProtocolRecord, RunRecord
from harness.store.standing import CheckpointStanding, ModelStanding, RunStanding

_CODE = re.compile(r"@([0-9a-f]{8}|version \d+)")


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What was trained and how, with the names that tables show: the part that one network and a row share.

    Attributes:
        method: for a model from elsewhere, the model's name.
        settings, network_settings: those that differ from the defaults.
        wrappers: the wrappers of the update, each with its settings that differ from the defaults.
        code: the code of plugins that do not ship or changed since they first shipped; see ``RunSpec.code``.
        every_setting: those of the method, under '', and of each wrapper, under its name: all that a run records.
    """

    method: str
    network: str
    settings: dict[str, Any] = field(default_factory=dict)
    wrappers: tuple[str, ...] = ()
    network_settings: dict[str, Any] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)
    every_setting: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The method with its code, its settings that differ from the defaults, and its wrappers."""
        return self.label_without(())

    def label_without(self, columns: Collection[str]) -> str:
        """The label without the method's settings of these names, which stand in columns of their own."""
        told = {key: value for key, value in self.settings.items() if key not in columns}
        return "+".join((_named(self.method, self.code.get("method"), told), *self.wrappers))

    @property
    def arch_label(self) -> str:
        """The network with its code and its settings that differ from the defaults."""
        return _named(self.network, self.code.get("network"), self.network_settings)

    @property
    def short_label(self) -> str:
        """The label without code, which a user may type where only one code was run."""
        return _CODE.sub("", self.label)


@dataclass(frozen=True)
class Contestant(Trained):
    """One network at one checkpoint.

    Attributes:
        kin: equal for networks that share everything but the training seed, and so share a row.
        number, train_seed: of the run; None for a model from elsewhere.
        training_sha256: of the training part of the protocol; None for a model from elsewhere.
        wrapped: the wrappers as the run has them.
        earlier: figures that an earlier attempt at the training has, and this one has not.
    """

    kin: str
    dataset: DatasetRecord
    checkpoint: CheckpointRecord | CheckpointStanding
    number: int | None = None
    train_seed: int | None = None
    training_sha256: str | None = None
    wrapped: Sequence[Mapping[str, Any]] = ()
    earlier: Sequence[Earlier] = ()

    def stands_under(self, protocol: ProtocolRecord) -> bool:
        """Whether it was trained under the protocol; a model from elsewhere stands under any."""
        return self.training_sha256 is None or protocol.trains(self.training_sha256, self.wrapped)


def _named(name: str, code: str | None, departures: dict[str, Any]) -> str:
    """``mine@3fa1c2d0 floor=0.1`` for a plugin that does not ship, ``sat@version 2`` for one that has changed."""
    at = f"@{code if code.startswith('version') else code[:8]}" if code else ""
    return name + at + "".join(f" {key}={value}" for key, value in departures.items())


def newest(runs: Iterable[RunRecord]) -> list[RunRecord]:
    """For every identity the newest attempt that is done, of runs in the order of their numbers."""
    attempts: dict[str, list[RunRecord]] = defaultdict(list)
    for run in runs:
        if run.status == "done":
            attempts[run.identity].append(run)
    return [
        replace(run, earlier=only_earlier(run.checkpoints, [(one.id, one.checkpoints) for one in older]))
        if older
        else run
        for *older, run in attempts.values()
    ]


def failed_trainings(runs: Iterable[RunRecord]) -> list[RunRecord]:
    """Of every identity without a run that is done, the newest that failed, if it was the training that failed.

    It is what ``Store.failed_trainings`` returns, of runs that were read already.

    Args:
        runs: in the order of their numbers.
    """
    runs = list(runs)
    done = {run.identity for run in runs if run.status == "done"}
    newest = {run.identity: run for run in runs if run.status == "failed" and run.identity not in done}
    return [run for run in newest.values() if TrainingFailed.is_told_by(run.failure or "")]


def trained_by(run: RunRecord | RunStanding) -> Trained:
    """What a run trained, and how."""
    return Trained(
        method=run.method,
        settings=run.method_departures,
        wrappers=tuple(_named(w["name"], run.code.get(f"wrapper {w['name']}"), w["departures"]) for w in run.wrappers),
        network=run.network,
        network_settings=run.network_departures,
        code=run.code,
        every_setting={"": run.method_settings, **{w["name"]: w.get("settings", {}) for w in run.wrappers}},
    )


def kin_of(run: RunRecord | RunStanding) -> list[Any]:
    """What runs share that differ in nothing but the training seed, of one data set and training protocol."""
    return [run.method, run.method_settings, run.wrappers, run.network, run.network_settings, run.code]


def kin_at(kin: str, name: str, epoch: int | None) -> str:
    """What the networks of one row share.

    Args:
        kin: of their runs, ``kin_of`` as canonical JSON.
        name, epoch: of the checkpoint. The epoch of ``best`` is left out: each training chooses its own.
    """
    return f"{kin[:-1]},{canonical_json([name, None if name == 'best' else epoch])[1:]}"  # one list


def contestants(
    runs: Iterable[RunRecord | RunStanding],
    models: Iterable[ModelRecord | ModelStanding] = (),
    *,
    with_trials: bool = False,
) -> Iterator[Contestant]:
    """Every checkpoint of the runs, then every model from elsewhere.

    Args:
        with_trials: those of ``harness tune`` as well, which no row counts.
    """
    known: dict[tuple[Any, ...], tuple[list[Any], dict[str, Any], str]] = {}
    for run in runs:
        if run.train_seed == TRIAL_SEED and not with_trials:
            continue
        documents = [*kin_of(run), run.method_departures, run.network_departures]
        key = tuple(one if isinstance(one, str) else id(one) for one in documents)  # the store shares equal documents
        if key not in known:  # and holds the documents, so that no other gets their ``id``
            known[key] = documents, vars(trained_by(run)), canonical_json(kin_of(run))
        _, shared, kin = known[key]
        for checkpoint in run.checkpoints:
            yield Contestant(
                **shared,
                kin=kin_at(kin, checkpoint.name, checkpoint.epoch),
                number=run.id,
                train_seed=run.train_seed,
                dataset=run.dataset,
                training_sha256=run.training_sha256,
                wrapped=run.wrappers,
                earlier=[one for one in run.earlier if one.checkpoint == checkpoint.name],
                checkpoint=checkpoint,
            )
    for model in models:
        yield Contestant(
            method=model.name,
            network=model.network,
            network_settings=model.network_departures,
            kin=canonical_json(["model", model.identity]),
            dataset=model.dataset,
            checkpoint=model.checkpoint,
        )
