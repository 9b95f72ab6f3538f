"""Opening runs and evaluations in the store: each is found, or added, and thousands of them in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from harness.errors import StoreError
from harness.identity import digest
from harness.protocols.run_spec import RunSpec
from harness.store.curating import Curating
from harness.store.models import now
from harness.store.recorded import IDS_A_QUERY
from harness.store.records import SPEC_FIELDS, DatasetRecord, RunRecord
from harness.store.schema import CheckpointRow, EvaluationRow, RunRow

Asked = TypeVar("Asked", str, int)
RunKey = tuple[str, int]
_OF_EVALUATION = ("checkpoint_id", "attack", "settings_sha256", "seed", "examples", "sample", "attempt")


@dataclass(frozen=True, kw_only=True)
class WantedRun:
    """A run that a command works on, whether the store has it or not; see ``RunRecord``."""

    spec: RunSpec
    dataset: DatasetRecord
    method_departures: dict[str, Any]
    network_departures: dict[str, Any]
    parameters: int
    provenance: dict[str, Any]
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class WantedEvaluation:
    """An evaluation that a command works on, whether the store has it or not; see ``EvaluationRecord``."""

    checkpoint_id: int
    attack: str
    settings: dict[str, Any]
    seed: int
    examples: int
    sample: str = "first"
    attempt: int = 1


class Opening(Curating):
    """The base of ``Store``: its methods that open runs and evaluations."""

    def start_run(self, spec: RunSpec, dataset: DatasetRecord, **others: Any) -> RunRecord:
        """Return the run with this identity and attempt; add it if the store lacks it.

        Args:
            others: the other fields of ``WantedRun``.
        """
        return self.start_runs([WantedRun(spec=spec, dataset=dataset, **others)])[0]

    def start_runs(self, wanted: Sequence[WantedRun]) -> list[RunRecord]:
        """Return the runs with these identities and attempts, in this order; add those that the store lacks.

        All are added in one transaction. So two commands that want the same runs share them, and a failure adds none.
        """
        if not wanted:
            return []
        keys = [(one.spec.identity, one.attempt) for one in wanted]
        with self._writing() as session:
            numbers, new = _numbers_of_runs(session, keys), dict[RunKey, WantedRun]()
            for key, one in zip(keys, wanted, strict=True):
                if key not in numbers:
                    new.setdefault(key, one)  # two parts of an experiment may want the same run
            if new:
                datasets = self._dataset_ids(session, [one.dataset for one in new.values()])
                session.execute(insert(RunRow), [_run_row(one, datasets) for one in new.values()])
                numbers |= _numbers_of_runs(session, new)
            records = {record.id: record for record in self._whole_in(session, set(numbers.values()))}
        return [records[numbers[key]] for key in keys]

    def open_evaluation(
        self, checkpoint_id: int, attack: str, settings: dict[str, Any], seed: int, examples: int, **others: Any
    ) -> int:
        """Return the number of the evaluation with this identity and attempt; add it if the store lacks it.

        Args:
            others: the other fields of ``WantedEvaluation``.
        """
        wanted = WantedEvaluation(
            checkpoint_id=checkpoint_id, attack=attack, settings=settings, seed=seed, examples=examples, **others
        )
        return self.open_evaluations([wanted])[0]

    def open_evaluations(self, wanted: Sequence[WantedEvaluation]) -> list[int]:
        """Return the numbers of these evaluations, in this order; add those that the store lacks.

        All are added in one transaction. Where they are performed is stored with their blocks.

        Raises:
            StoreError: a checkpoint is gone; nothing is added then.
        """
        if not wanted:
            return []
        identified = [_key_of_evaluation(one) for one in wanted]
        keys = [tuple(one.values()) for one in identified]
        checkpoints = {one.checkpoint_id for one in wanted}
        with self._writing() as session:
            there = {n for (n,) in _found(session, [CheckpointRow.id], CheckpointRow.id, checkpoints)}
            if checkpoints - there:
                raise gone()
            numbers = _numbers_of_evaluations(session, checkpoints)
            new = dict[tuple[Any, ...], dict[str, Any]]()
            for key, columns, one in zip(keys, identified, wanted, strict=True):
                if key not in numbers:
                    new[key] = columns | {"settings": one.settings, "created_utc": now(), "provenance": {}}
            if new:
                session.execute(insert(EvaluationRow), list(new.values()))
                numbers |= _numbers_of_evaluations(session, checkpoints)
        return [numbers[key] for key in keys]

    def _dataset_ids(self, session: Session, datasets: Iterable[DatasetRecord]) -> dict[DatasetRecord, int]:
        """The number of each data set; those that the store lacks are added."""
        rows = {dataset: self._dataset(session, dataset) for dataset in dict.fromkeys(datasets)}
        session.add_all(rows.values())
        session.flush()
        return {dataset: row.id for dataset, row in rows.items()}


def gone() -> StoreError:
    """The error where a row is gone, since `harness rm` removed it meanwhile."""
    return StoreError(
        "a run or model was removed from the database while this command worked on it: its results have no place"
        " any more; run the command again"
    )


def _numbers_of_runs(session: Session, keys: Iterable[RunKey]) -> dict[RunKey, int]:
    """The runs that there are with these identities and attempts: identity, attempt -> number."""
    wanted = set(keys)
    columns = [RunRow.identity, RunRow.attempt, RunRow.id]
    rows = _found(session, columns, RunRow.identity, {identity for identity, _ in wanted})
    return {(identity, attempt): number for identity, attempt, number in rows if (identity, attempt) in wanted}


def _numbers_of_evaluations(session: Session, checkpoints: Iterable[int]) -> dict[tuple[Any, ...], int]:
    """Every evaluation of these checkpoints: what identifies it, in the order of ``_OF_EVALUATION`` -> number."""
    columns = [*(getattr(EvaluationRow, name) for name in _OF_EVALUATION), EvaluationRow.id]
    rows = _found(session, columns, EvaluationRow.checkpoint_id, checkpoints)
    return {tuple(key): number for *key, number in rows}


def _found(
    session: Session,
    columns: Sequence[InstrumentedAttribute[Any]],
    by: InstrumentedAttribute[Asked],
    values: Iterable[Asked],
) -> Iterator[tuple[Any, ...]]:
    """The rows whose column has one of these values."""
    asked = list(values)
    for first in range(0, len(asked), IDS_A_QUERY):
        some: ColumnElement[bool] = by.in_(asked[first : first + IDS_A_QUERY])
        yield from (tuple(row) for row in session.execute(select(*columns).where(some)))


def _run_row(wanted: WantedRun, datasets: dict[DatasetRecord, int]) -> dict[str, Any]:
    """The columns of a new run."""
    spec, attempt = wanted.spec, wanted.attempt
    return {
        "identity": spec.identity,
        "attempt": attempt,
        **{name: getattr(spec, name) for name in SPEC_FIELDS},
        "method_departures": wanted.method_departures,
        "wrappers": list(spec.wrappers),
        "network_departures": wanted.network_departures,
        "dataset_id": datasets[wanted.dataset],
        "training_sha256": digest(spec.training),
        "status": "running",
        "folder": f"{spec.label}-{spec.identity[:8]}" + (f"-{attempt}" if attempt > 1 else ""),
        "parameters": wanted.parameters,
        "created_utc": now(),
        "provenance": wanted.provenance,
        "tags": [],
    }


def _key_of_evaluation(wanted: WantedEvaluation) -> dict[str, Any]:
    """What identifies an evaluation, by column, in the order of ``_OF_EVALUATION``."""
    own = vars(wanted) | {"settings_sha256": digest(wanted.settings)}
    return {name: own[name] for name in _OF_EVALUATION}
