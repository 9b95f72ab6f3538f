"""The store: each method is one transaction. ``Queries`` has the methods that read, this module those that write.

A method that writes a result takes the lease of the work, and raises LeaseLost, before it writes anything, if that
lease is not held any more.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from harness.events import BlockDone, CurvePoint, EpochRecord, Finding
from harness.identity import digest
from harness.reference import reported_figures
from harness.runtime.provenance import joined
from harness.runtime.worker import this_worker
from harness.store import database
from harness.store.leases import Lease, require
from harness.store.models import now
from harness.store.opening import Opening, gone
from harness.store.records import ProtocolRecord
from harness.store.run_states import add_state
from harness.store.schema import (
    METADATA,
    BlockRow,
    CheckpointRow,
    EpochRow,
    EvaluationRow,
    ExaminationRow,
    FindingRow,
    ProtocolRow,
    ReportedRow,
    RunRow,
)
from harness.store.schema_base import Base
from harness.store.schema_records import AdversarialImageRow, CurvePointRow, CurveRow, HistogramRow
from harness.store.verdicts import pack, pack_classes, pack_margins

Row = TypeVar("Row", bound=Base)


class Store(Opening):
    """All results. ``Store.read`` opens the file without changing it; ``Store.write`` creates it if it is missing."""

    @classmethod
    def read(cls, location: str | None = None) -> Store:
        """Open for reading; a missing file gives a store that holds the reported figures alone."""
        engine = database.open_for_reading(database.locate(location))
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

    @classmethod
    def in_memory(cls) -> Store:
        """A store that nothing keeps."""
        return cls(database.in_memory())

    @property
    def place(self) -> str | None:
        """The database's URL, with its password, for another process that opens it; None: it is in memory."""
        url = self._engine.url
        in_memory = url.get_backend_name() == "sqlite" and database.sqlite_file(url) is None
        return None if in_memory else url.render_as_string(hide_password=False)

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def _add_reported(self) -> None:
        """Make the store's reported figures those of this version of harness."""
        figures = list(reported_figures())
        if self.reported() == figures:
            return
        with self._writing() as session:
            session.execute(delete(ReportedRow))
            table = METADATA.tables["reported"]  # by way of the class it would take more than twice as long
            session.execute(insert(table), [vars(figure) for figure in figures])

    def see_protocol(self, protocol: ProtocolRecord, training: dict[str, Any]) -> None:
        """Add a protocol if the store lacks it."""
        with self._writing() as session:
            known = select(ProtocolRow.id).where(ProtocolRow.fingerprint == protocol.fingerprint)
            if session.scalar(known) is None:
                session.add(ProtocolRow(**dataclasses.asdict(protocol), training=training))

    def add_provenance(self, run_id: int, provenance: dict[str, Any], lease: Lease | None = None) -> None:
        """Store where a training is performed; see ``joined`` for one that goes on in another place."""
        with self._writing() as session:
            require(session, lease)
            row = _there(session, RunRow, run_id)
            row.provenance = joined(row.provenance, provenance)

    def add_epoch(self, run_id: int, record: EpochRecord, lease: Lease | None = None) -> None:
        """Store an epoch and its records; an epoch that is reported again, after a stop, replaces its rows."""
        with self._writing() as session:
            require(session, lease)
            _there(session, RunRow, run_id)
            seen = [dataclasses.asdict(one) | {"counts": list(one.counts)} for one in record.histograms]
            plain = {field: value for field, value in vars(record).items() if field not in ("histograms", "curve")}
            session.merge(EpochRow(run_id=run_id, **plain, histograms=[HistogramRow(**one) for one in seen]))
            of_run = select(CurveRow.id).where(CurveRow.run_id == run_id)
            again = CurvePointRow.curve_id.in_(of_run), CurvePointRow.epoch == record.epoch
            session.execute(delete(CurvePointRow).where(*again))
            for point in record.curve:
                _add_point(session, run_id, record.epoch, point)

    def add_checkpoint(self, run_id: int, name: str, epoch: int, sha256: str, lease: Lease | None = None) -> None:
        """Store a checkpoint. A stored one takes the new epoch and hash; if it has evaluations, it stays as it is."""
        with self._writing() as session:
            require(session, lease)
            _there(session, RunRow, run_id)
            where = (CheckpointRow.run_id == run_id, CheckpointRow.name == name)
            row = session.scalar(select(CheckpointRow).where(*where))
            if row is None:
                session.add(CheckpointRow(run_id=run_id, name=name, epoch=epoch, sha256=sha256))
            elif not row.evaluations:
                row.epoch, row.sha256 = epoch, sha256

    def end_run(self, run_id: int, failure: str | None = None, lease: Lease | None = None) -> None:
        """Mark a run as done, or as failed with the reason. Its lease ends."""
        with self._writing() as session:
            require(session, lease, ends=True)
            row = _there(session, RunRow, run_id)
            row.status, row.failure, row.finished_utc = "failed" if failure else "done", failure, now()
            add_state(session, run_id, "failed" if failure else "done", this_worker(), failure)

    def add_block(self, block: BlockDone, lease: Lease | None = None) -> None:
        """Store the verdicts of a block, and where it was attacked. Its lease ends.

        A block that overlaps a stored one is dropped: another command did that part meanwhile, perhaps in blocks of
        another size. What is still missing then is left to the next command.
        """
        there = select(BlockRow.start).where(
            BlockRow.evaluation_id == block.evaluation_id,
            BlockRow.start < block.start + len(block.verdicts),
            BlockRow.start + BlockRow.examples > block.start,
        )
        with self._writing() as session:
            require(session, lease, ends=True)
            if session.scalar(there.limit(1)) is not None:
                return
            evaluation = _there(session, EvaluationRow, block.evaluation_id)
            evaluation.provenance = joined(evaluation.provenance, block.provenance)
            session.add(
                BlockRow(
                    evaluation_id=block.evaluation_id,
                    start=block.start,
                    examples=len(block.verdicts),
                    correct=sum(block.verdicts),
                    verdicts=pack(block.verdicts),
                    duration_s=block.duration_s,
                    warnings=list(block.warnings),
                    margins=None if block.margins is None else pack_margins(block.margins),
                    predicted=None if block.predicted is None else pack_classes(block.predicted),
                )
            )
            evaluation.adversarial += [
                AdversarialImageRow(place=block.start + i, pixels=zlib.compress(pixels))
                for i, pixels in enumerate(block.adversarial)
            ]

    def add_examination(
        self,
        checkpoint_id: int,
        settings: dict[str, Any],
        findings: Sequence[Finding],
        duration_s: float,
        provenance: dict[str, Any],
        lease: Lease | None = None,
    ) -> None:
        """Store the findings of an examination; they replace those of an earlier one with the same settings.

        Its lease ends.
        """
        key = {"checkpoint_id": checkpoint_id, "settings_sha256": digest(settings)}
        rows = [FindingRow(position=i, **dataclasses.asdict(finding)) for i, finding in enumerate(findings)]
        with self._writing() as session:
            require(session, lease, ends=True)
            _there(session, CheckpointRow, checkpoint_id)
            old = session.scalar(select(ExaminationRow).filter_by(**key))
            if old is not None:
                session.delete(old)
                session.flush()
            known = {"settings": settings, "duration_s": duration_s, "provenance": provenance, "findings": rows}
            session.add(ExaminationRow(**key, **known, created_utc=now()))


def _add_point(session: Session, run_id: int, epoch: int, point: CurvePoint) -> None:
    """Store a point of a curve, and the curve if it is its first point."""
    key = {"run_id": run_id, "part": point.part, "attack": point.attack, "images": point.images}
    key["settings_sha256"] = digest(point.settings)
    curve = session.scalar(select(CurveRow).filter_by(**key))
    if curve is None:
        curve = CurveRow(**key, settings=point.settings)
        session.add(curve)
        session.flush()
    session.add(CurvePointRow(curve_id=curve.id, epoch=epoch, correct=point.correct, duration_s=point.duration_s))


def _there(session: Session, kind: type[Row], number: int) -> Row:
    """The row with that number; StoreError if it is gone, since `harness rm` removed it meanwhile."""
    row = session.get(kind, number)
    if row is None:
        raise gone()
    return row
