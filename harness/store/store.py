"""The store: each method is one unit of work; what comes back are frozen dataclasses."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, selectinload

from harness.errors import StoreError
from harness.events import BlockDone, EpochRecord
from harness.identity import digest
from harness.reference import ReportedFigure, reported_figures
from harness.spec import RunSpec
from harness.store import database
from harness.store.read import run_record
from harness.store.records import DatasetRecord, ProtocolRecord, RunRecord
from harness.store.schema import (
    BlockRow,
    CheckpointRow,
    DatasetRow,
    EpochRow,
    EvaluationRow,
    ProtocolRow,
    ReportedRow,
    RunRow,
)
from harness.store.verdicts import pack, unpack

IDS_A_QUERY = 30_000  # SQLite takes 32,766 parameters

_WHOLE_RUN = (
    selectinload(RunRow.dataset),
    selectinload(RunRow.epochs),
    selectinload(RunRow.checkpoints).selectinload(CheckpointRow.evaluations).selectinload(EvaluationRow.blocks),
)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class Store:
    """All results. ``Store.read`` opens it without touching the file; ``Store.write`` makes it if it is missing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(harness_begin="IMMEDIATE")

    @classmethod
    def read(cls, location: str | None = None) -> Store:
        """Open for reading; a missing file reads as a store that holds the reported figures alone."""
        url = database.locate(location)
        engine = database.open_for_reading(url)
        store = cls(engine)
        if str(engine.url) == "sqlite://":
            store._add_reported()
        return store

    @classmethod
    def write(cls, location: str | None = None) -> Store:
        """Open for writing."""
        store = cls(database.open_for_writing(database.locate(location)))
        store._add_reported()
        return store

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Session]:
        with Session(self._engine) as session, session.begin():
            yield session

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Session]:
        with Session(self._writer) as session, session.begin():
            yield session

    # ---- writing

    def _add_reported(self) -> None:
        """Bring in the figures that this version of harness carries and the store lacks."""
        figures = list(reported_figures())
        if self.reported() == figures:
            return
        with self._writing() as session:
            session.query(ReportedRow).delete()
            session.add_all(ReportedRow(**dataclasses.asdict(figure)) for figure in figures)

    def see_protocol(self, protocol: ProtocolRecord, training: dict[str, Any]) -> None:
        """Remember a protocol, so that results can be told apart by it."""
        with self._writing() as session:
            known = select(ProtocolRow.id).where(ProtocolRow.fingerprint == protocol.fingerprint)
            if session.scalar(known) is None:
                session.add(ProtocolRow(**dataclasses.asdict(protocol), training=training))

    def start_run(
        self,
        spec: RunSpec,
        dataset: DatasetRecord,
        *,
        method_departures: dict[str, Any],
        network_departures: dict[str, Any],
        parameters: int,
        provenance: dict[str, Any],
        attempt: int = 1,
    ) -> RunRecord:
        """Open a run: the one that has this identity and attempt, or a new one."""
        with self._writing() as session:
            found = session.scalar(select(RunRow).where(RunRow.identity == spec.identity, RunRow.attempt == attempt))
            if found is not None:
                return run_record(found)
            folder = f"{spec.label}-{spec.identity[:8]}" + (f"-{attempt}" if attempt > 1 else "")
            row = RunRow(
                identity=spec.identity,
                attempt=attempt,
                method=spec.method,
                method_settings=spec.method_settings,
                method_departures=method_departures,
                wrappers=list(spec.wrappers),
                network=spec.network,
                network_settings=spec.network_settings,
                network_departures=network_departures,
                dataset=self._dataset(session, dataset),
                training=spec.training,
                training_sha256=digest(spec.training),
                train_seed=spec.train_seed,
                status="running",
                failure=None,
                folder=folder,
                parameters=parameters,
                created_utc=_now(),
                finished_utc=None,
                provenance=provenance,
            )
            session.add(row)
            session.flush()
            return run_record(row)

    @staticmethod
    def _dataset(session: Session, dataset: DatasetRecord) -> DatasetRow:
        row = session.scalar(select(DatasetRow).where(DatasetRow.fingerprint == dataset.fingerprint))
        return row or DatasetRow(**dataclasses.asdict(dataset))

    def add_epoch(self, run_id: int, record: EpochRecord) -> None:
        """Keep an epoch; one that is told again, after a stop, replaces the same."""
        with self._writing() as session:
            session.merge(EpochRow(run_id=run_id, **dataclasses.asdict(record)))

    def add_checkpoint(self, run_id: int, name: str, epoch: int, sha256: str) -> None:
        """Keep a checkpoint; told again, it is left as it is, or takes the new hash if it has no evaluation yet."""
        with self._writing() as session:
            where = (CheckpointRow.run_id == run_id, CheckpointRow.name == name)
            row = session.scalar(select(CheckpointRow).where(*where))
            if row is None:
                session.add(CheckpointRow(run_id=run_id, name=name, epoch=epoch, sha256=sha256))
            elif not row.evaluations:
                row.sha256 = sha256

    def end_run(self, run_id: int, failure: str | None = None) -> None:
        """Mark a run as done, or as failed with the reason."""
        with self._writing() as session:
            row = session.get_one(RunRow, run_id)
            row.status, row.failure, row.finished_utc = "failed" if failure else "done", failure, _now()

    def open_evaluation(
        self,
        checkpoint_id: int,
        attack: str,
        settings: dict[str, Any],
        seed: int,
        examples: int,
        provenance: dict[str, Any],
    ) -> int:
        """The number of the evaluation with this identity, made if it is not there."""
        key = {"checkpoint_id": checkpoint_id, "attack": attack, "seed": seed, "examples": examples}
        key["settings_sha256"] = digest(settings)
        with self._writing() as session:
            row = session.scalar(select(EvaluationRow).filter_by(**key))
            if row is None:
                row = EvaluationRow(**key, settings=settings, created_utc=_now(), provenance=provenance)
                session.add(row)
                session.flush()
            return row.id

    def add_block(self, block: BlockDone) -> None:
        """Keep the verdicts of a block; a block that is there already stays."""
        with self._writing() as session:
            if session.get(BlockRow, (block.evaluation_id, block.start)) is None:
                session.add(
                    BlockRow(
                        evaluation_id=block.evaluation_id,
                        start=block.start,
                        examples=len(block.verdicts),
                        correct=sum(block.verdicts),
                        verdicts=pack(block.verdicts),
                        duration_s=block.duration_s,
                        warnings=list(block.warnings),
                    )
                )

    # ---- reading

    def runs(self) -> list[RunRecord]:
        """Every run, in the order of their numbers."""
        with self._reading() as session:
            rows = session.scalars(select(RunRow).options(*_WHOLE_RUN).order_by(RunRow.id))
            return [run_record(row) for row in rows]

    def run(self, run_id: int) -> RunRecord:
        """One run.

        Raises:
            StoreError: there is none of that number.
        """
        with self._reading() as session:
            row = session.get(RunRow, run_id, options=_WHOLE_RUN) if 0 < run_id < 2**63 else None
            if row is None:
                raise StoreError(f"there is no run {run_id}; `harness runs` lists those that are")
            return run_record(row)

    def newest_attempt(self, identity: str) -> RunRecord | None:
        """The newest run of an identity."""
        with self._reading() as session:
            newest = select(RunRow).where(RunRow.identity == identity).order_by(RunRow.attempt.desc()).limit(1)
            row = session.scalar(newest.options(*_WHOLE_RUN))
            return run_record(row) if row is not None else None

    def protocols(self) -> list[ProtocolRecord]:
        """Every protocol that something was run under, in the order they were seen."""
        names = [field.name for field in dataclasses.fields(ProtocolRecord)]
        with self._reading() as session:
            rows = session.scalars(select(ProtocolRow).order_by(ProtocolRow.id))
            return [ProtocolRecord(**{name: getattr(row, name) for name in names}) for row in rows]

    def reported(self) -> list[ReportedFigure]:
        """Every figure that a paper reports, in the order of its tables."""
        names = [field.name for field in dataclasses.fields(ReportedFigure)]
        with self._reading() as session:
            rows = session.scalars(select(ReportedRow).order_by(ReportedRow.id))
            return [ReportedFigure(**{name: getattr(row, name) for name in names}) for row in rows]

    def verdicts(self, evaluation_id: int) -> bytes:
        """The verdicts of an evaluation's examples in order, one byte each, as far as they are done."""
        with self._reading() as session:
            blocks = select(BlockRow).where(BlockRow.evaluation_id == evaluation_id).order_by(BlockRow.start)
            return b"".join(unpack(block.verdicts, block.examples) for block in session.scalars(blocks))

    def margins(self, evaluation_id: int) -> list[float] | None:
        """V of every example of an evaluation, in order; None where it was made before they were kept."""
        return None

    def verdicts_of(self, evaluation_ids: Collection[int]) -> dict[int, bytes]:
        """The verdicts of many evaluations at once: evaluation -> one byte an example, in order, as far as done."""
        found: dict[int, list[bytes]] = {number: [] for number in evaluation_ids}
        columns = (BlockRow.evaluation_id, BlockRow.verdicts, BlockRow.examples)
        with self._reading() as session:
            for some in _batches(sorted(found), IDS_A_QUERY):
                blocks = select(*columns).where(BlockRow.evaluation_id.in_(some)).order_by(BlockRow.start)
                for number, verdicts, examples in session.execute(blocks):
                    found[number].append(unpack(verdicts, examples))
        return {number: b"".join(blocks) for number, blocks in found.items()}


def _batches(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))
