"""Small queries of numbers, names, tags, and attempts, by which a command finds the few runs that it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import String, cast, exists, select

from harness.errors import StoreError, TrainingFailed
from harness.identity import digest
from harness.protocols.run_spec import TRIAL_SEED
from harness.runtime.collector import collector_paused
from harness.store.queries import WHOLE_MODEL, dataset_record, model_record
from harness.store.recorded import IDS_A_QUERY
from harness.store.records import DatasetRecord, ModelRecord, RunRecord
from harness.store.schema import METADATA, DatasetRow, ModelRow
from harness.store.standing import RunStanding
from harness.store.typed_columns import TypedColumns
from harness.store.whole_runs import WholeRuns

_RUN, _MODEL = METADATA.tables["runs"].c, METADATA.tables["models"].c
_CHECKPOINT = METADATA.tables["checkpoints"].c
_CALLED = (
    *("method", "method_settings", "method_departures", "wrappers", "network", "network_settings"),
    *("network_departures", "training_sha256", "train_seed", "code"),
)


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model from elsewhere, by what a person calls it; see ``ModelRecord``."""

    id: int
    name: str
    dataset: DatasetRecord


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run as one of the attempts at its identity; see ``RunRecord``."""

    id: int
    identity: str
    attempt: int
    status: str
    training_sha256: str
    wrappers: list[dict[str, Any]] = field(compare=False)


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """A checkpoint of a run, as far as its file goes.

    Attributes:
        id, folder, status: of the run.
        name, sha256: of the checkpoint.
    """

    id: int
    folder: str
    status: str
    name: str
    sha256: str


class Lookups(WholeRuns):
    """The base of ``Store``: its small queries."""

    def run_numbers(self) -> list[int]:
        """The number of every run, in order."""
        with self._reading() as session:
            return [number for (number,) in TypedColumns(session).rows(select(_RUN.id).order_by(_RUN.id))]

    def named_models(self) -> list[NamedModel]:
        """Every model from elsewhere, in the order of their numbers."""
        every = select(_MODEL.id, _MODEL.name, _MODEL.dataset_id).order_by(_MODEL.id)
        with self._reading() as session:
            datasets = {row.id: row for row in session.scalars(select(DatasetRow))}
            found = list(TypedColumns(session).rows(every))
            return [
                NamedModel(number, name, dataset_record(datasets.get(dataset_id), "models", number))
                for number, name, dataset_id in found
            ]

    def model(self, model_id: int) -> ModelRecord:
        """One model from elsewhere; StoreError if no model has that number."""
        with self._reading() as session:
            row = session.get(ModelRow, model_id, options=WHOLE_MODEL)
            if row is None:
                raise StoreError(f"there is no model {model_id}; `harness runs` lists all models")
            return model_record(row)

    def tags(self) -> list[str]:
        """Every tag that a run or a model has, each once, in the order in which they have them; runs come first."""
        found: dict[str, None] = {}
        with self._reading() as session:
            for table in (_RUN, _MODEL):
                for (tags,) in TypedColumns(session).rows(select(table.tags).order_by(table.id)):
                    found |= dict.fromkeys(tags)
        return list(found)

    def tags_of_runs(self) -> dict[int, tuple[str, ...]]:
        """Run -> its tags, of the runs that have any."""
        some = select(_RUN.id, _RUN.tags).where(cast(_RUN.tags, String) != "[]").order_by(_RUN.id)
        with self._reading() as session:
            return {number: tuple(tags) for number, tags in TypedColumns(session).rows(some) if tags}

    def attempts(self, identities: Collection[str] | None = None) -> list[Attempt]:
        """The runs of some identities, or all runs, in the order of their numbers."""
        columns = (_RUN.id, _RUN.identity, _RUN.attempt, _RUN.status, _RUN.training_sha256, _RUN.wrappers)
        every = select(*columns).order_by(_RUN.id)
        found: list[Attempt] = []
        with self._reading() as session:
            rows = TypedColumns(session)
            if identities is None:
                return [Attempt(*values) for values in rows.rows(every)]
            asked = list(identities)
            for first in range(0, len(asked), IDS_A_QUERY):
                some = _RUN.identity.in_(asked[first : first + IDS_A_QUERY])
                found += (Attempt(*values) for values in rows.rows(every.where(some)))
        return sorted(found, key=lambda one: one.id)

    def unfinished_runs(self, trainings: Sequence[Mapping[str, Any]]) -> list[RunRecord]:
        """The runs that are neither done nor failed, of these trainings alone, in the order of their numbers."""
        wanted = {digest(training) for training in trainings}
        unfinished = select(_RUN.id).where(_RUN.status == "running", _RUN.training_sha256.in_(wanted))
        with self._reading() as session:
            numbers = [number for (number,) in TypedColumns(session).rows(unfinished)]
        return self.runs_of(numbers)

    def failed_trainings(self) -> list[RunRecord]:
        """Of every identity without a run that is done, the newest that failed, if it was the training that failed.

        A run that failed for another reason, such as a plugin that broke its contract, is left out: it says nothing of
        its training seed.
        """
        other = METADATA.tables["runs"].alias("other")
        done = exists().where(other.c.identity == _RUN.identity, other.c.status == "done")
        failed = select(_RUN.id, _RUN.identity, _RUN.failure).where(_RUN.status == "failed", ~done).order_by(_RUN.id)
        with self._reading() as session:
            newest = {identity: (number, why) for number, identity, why in TypedColumns(session).rows(failed)}
        return self.runs_of([number for number, why in newest.values() if TrainingFailed.is_told_by(why or "")])

    def stored_weights(self, sha256: str | None = None) -> list[StoredWeights]:
        """The checkpoints of all runs, by run and epoch; or those alone whose weights have that hash."""
        runs, checkpoints = METADATA.tables["runs"], METADATA.tables["checkpoints"]
        columns = (_RUN.id, _RUN.folder, _RUN.status, _CHECKPOINT.name, _CHECKPOINT.sha256)
        every = select(*columns).select_from(checkpoints.join(runs, _RUN.id == _CHECKPOINT.run_id))
        every = every.order_by(_RUN.id, _CHECKPOINT.epoch, _CHECKPOINT.name)
        with self._reading() as session:
            wanted = every if sha256 is None else every.where(_CHECKPOINT.sha256 == sha256)
            return [StoredWeights(*values) for values in TypedColumns(session).rows(wanted)]

    def called_runs(self, *, with_weights: bool = False) -> Sequence[RunRecord | RunStanding]:
        """What the runs are called that ``standings`` has, in the same order, without their checkpoints.

        Args:
            with_weights: those alone that have a checkpoint, and so a row if it was attacked; no trial of a tuning is.
        """
        columns = (_RUN.identity, _RUN.id, _RUN.dataset_id, *(_RUN[name] for name in _CALLED))
        done = select(*columns).where(_RUN.status == "done").order_by(_RUN.id)
        done = done.where(_RUN.train_seed != TRIAL_SEED) if with_weights else done
        with collector_paused(), self._reading() as session:
            datasets = {row.id: row for row in session.scalars(select(DatasetRow))}
            newest = {identity: values for identity, *values in TypedColumns(session).rows(done)}
            kept = set(session.scalars(select(_CHECKPOINT.run_id).distinct())) if with_weights else None
            return [
                RunStanding(
                    id=number,
                    dataset=dataset_record(datasets.get(dataset_id), "runs", number),
                    checkpoints=(),
                    **dict(zip(_CALLED, values, strict=True)),
                )
                for number, dataset_id, *values in newest.values()
                if kept is None or number in kept
            ]
