"""The whole records of many runs, read table by table: the same as ``run_record`` makes, in a fraction of the time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, Select, select
from sqlalchemy.orm import Session

from harness.events import EpochRecord, Finding
from harness.runtime.collector import collector_paused
from harness.store.attempts import counting_and_begun
from harness.store.listing import Listing
from harness.store.older_findings import as_said_now
from harness.store.queries import dataset_record, evaluation_record, no_such_run
from harness.store.records import CheckpointRecord, DatasetRecord, EvaluationRecord, ExaminationRecord, RunRecord
from harness.store.schema import METADATA, DatasetRow, EvaluationRow
from harness.store.soundness import count_problems
from harness.store.typed_columns import TypedColumns

RUNS_AT_ONCE = 250  # whose rows are in memory beside their records

_TABLES = METADATA.tables
_RUN, _CHECKPOINT, _EVALUATION = _TABLES["runs"].c, _TABLES["checkpoints"].c, _TABLES["evaluations"].c
_BLOCK, _EPOCH = _TABLES["blocks"].c, _TABLES["epochs"].c
_EXAMINATION, _FINDING = _TABLES["examinations"].c, _TABLES["findings"].c
_OF_EVALUATION = (
    *("attempt", "attack", "settings_sha256", "seed", "examples", "sample", "settings", "provenance", "created_utc"),
)
_OF_BLOCK = ("start", "examples", "correct", "verdicts", "duration_s", "warnings")
_OF_EXAMINATION = ("settings", "created_utc", "duration_s", "provenance")
_OF_FINDING = ("check", "status", "mark", "value", "threshold", "reason", "details")
_OF_EPOCH = ("epoch", "loss", "lr", "images", "duration_s", "diagnostics")
_OF_RUN = (
    *("id", "identity", "attempt", "method", "method_settings", "method_departures", "wrappers", "network"),
    *("network_settings", "network_departures", "training", "training_sha256", "train_seed", "status", "failure"),
    *("folder", "parameters", "created_utc", "finished_utc", "provenance", "code", "note"),
)

Block = tuple[int, int, int, bytes, float, list[str]]
Made = TypeVar("Made")


class WholeRuns(Listing):
    """The base of ``Store``: its whole records of runs. Records share equal documents, so nobody may change one."""

    def runs(self) -> list[RunRecord]:
        """Every run, in the order of their numbers."""
        return self._whole(None)

    def runs_of(self, numbers: Collection[int]) -> list[RunRecord]:
        """The runs of these numbers that there are, in the order of their numbers."""
        return self._whole(set(numbers)) if numbers else []

    def runs_numbered(self, numbers: Collection[int]) -> dict[int, RunRecord]:
        """As ``run``, of each of many numbers; StoreError if no run has one of them."""
        found = {run.id: run for run in self.runs_of(numbers)}
        for number in numbers:
            if number not in found:
                raise no_such_run(number)
        return found

    def trainings(self) -> list[RunRecord]:
        """As ``runs``, but without the checkpoints, and so without what is known of attacks."""
        return self._whole(None, attacked=False)

    def _whole(self, wanted: set[int] | None, *, attacked: bool = True) -> list[RunRecord]:
        with self._reading() as session:
            return self._whole_in(session, wanted, attacked=attacked)

    @staticmethod
    def _whole_in(session: Session, wanted: set[int] | None, *, attacked: bool = True) -> list[RunRecord]:
        """The runs of these numbers, or all, as a transaction sees them."""
        found: list[RunRecord] = []
        with collector_paused():
            there = session.scalars(select(_RUN.id).order_by(_RUN.id))
            numbers = [number for number in there if wanted is None or number in wanted]
            datasets = {row.id: row for row in session.scalars(select(DatasetRow))}
            rows, known = TypedColumns(session), dict[int, DatasetRecord]()
            for first in range(0, len(numbers), RUNS_AT_ONCE):
                some = numbers[first : first + RUNS_AT_ONCE]
                checkpoints = _checkpoints(session, rows, some) if attacked else {}
                found += _runs(rows, some, checkpoints, datasets, known)
        return found


def _runs(
    rows: TypedColumns,
    numbers: Sequence[int],
    checkpoints: Mapping[int, Sequence[CheckpointRecord]],
    datasets: dict[int, DatasetRow],
    known: dict[int, DatasetRecord],
) -> Iterator[RunRecord]:
    """The records of some runs.

    Args:
        known: the records of data sets that were made so far.
    """
    epochs = _epochs(rows, numbers)
    columns = (_RUN.dataset_id, _RUN.tags, *(_RUN[name] for name in _OF_RUN))
    for dataset_id, tags, *values in rows.rows(select(*columns).where(_RUN.id.in_(numbers)).order_by(_RUN.id)):
        own = dict(zip(_OF_RUN, values, strict=True))
        if dataset_id not in known:
            known[dataset_id] = dataset_record(datasets.get(dataset_id), "runs", own["id"])
        yield RunRecord(
            **own,
            dataset=known[dataset_id],
            epochs=tuple(epochs[own["id"]]),
            checkpoints=tuple(checkpoints.get(own["id"], ())),
            tags=tuple(tags),
        )


def _epochs(rows: TypedColumns, numbers: Sequence[int]) -> dict[int, list[EpochRecord]]:
    every = select(_EPOCH.run_id, *_named(_EPOCH, _OF_EPOCH)).where(_EPOCH.run_id.in_(numbers))
    found = defaultdict(list)
    for number, *values in rows.rows(every.order_by(_EPOCH.run_id, _EPOCH.epoch)):
        found[number].append(EpochRecord(*values))
    return found


def _checkpoints(session: Session, rows: TypedColumns, numbers: Sequence[int]) -> dict[int, list[CheckpointRecord]]:
    evaluations, examinations = _evaluations(session, rows, numbers), _examinations(rows, numbers)
    every = select(_CHECKPOINT.run_id, *_named(_CHECKPOINT, ("id", "name", "epoch", "sha256")))
    every = every.where(_CHECKPOINT.run_id.in_(numbers))
    found = defaultdict(list)
    order = (_CHECKPOINT.run_id, _CHECKPOINT.epoch, _CHECKPOINT.name)
    for run, number, name, epoch, sha256 in rows.rows(every.order_by(*order)):
        counting, begun = counting_and_begun(evaluations[number])
        found[run].append(CheckpointRecord(number, name, epoch, sha256, counting, tuple(examinations[number]), begun))
    return found


def _evaluations(session: Session, rows: TypedColumns, numbers: Sequence[int]) -> dict[int, list[EvaluationRecord]]:
    """For each checkpoint its evaluations, with every attempt."""
    blocks = _blocks(rows, numbers)
    columns = [_EVALUATION.id, _EVALUATION.checkpoint_id, _CHECKPOINT.run_id, *_named(_EVALUATION, _OF_EVALUATION)]
    every = _of_runs(select(*columns), numbers)
    found = defaultdict(list)
    for number, checkpoint, run, *values in rows.rows(every.order_by(_EVALUATION.id)):
        record = _evaluation(blocks.get(number, ()), id=number, **dict(zip(_OF_EVALUATION, values, strict=True)))
        if record is None:
            record = evaluation_record(session.get_one(EvaluationRow, number), str(run))
        found[checkpoint].append(record)
    return found


def _evaluation(blocks: Sequence[Block], *, examples: int, **values: Any) -> EvaluationRecord | None:
    """An evaluation with the sums over its blocks; None if something is wrong with these."""
    end = 0
    for start, length, right, verdicts, *_ in blocks:
        if start < end or next(count_problems(length, right, verdicts), None) is not None:
            return None
        end = start + length
    if end > examples:
        return None
    return EvaluationRecord(
        **values,
        examples=examples,
        done=sum(block[1] for block in blocks),
        correct=sum(block[2] for block in blocks),
        blocks=tuple(block[:2] for block in blocks),
        duration_s=sum(block[4] for block in blocks),
        warnings=tuple(dict.fromkeys(text for block in blocks for text in block[5])),
    )


def _blocks(rows: TypedColumns, numbers: Sequence[int]) -> dict[int, list[Block]]:
    every = select(_BLOCK.evaluation_id, *_named(_BLOCK, _OF_BLOCK))
    every = every.join(_TABLES["evaluations"], _EVALUATION.id == _BLOCK.evaluation_id)
    found = defaultdict(list)
    for number, *values in rows.rows(_of_runs(every, numbers).order_by(_BLOCK.evaluation_id, _BLOCK.start)):
        found[number].append(tuple(values))
    return found


def _examinations(rows: TypedColumns, numbers: Sequence[int]) -> dict[int, list[ExaminationRecord]]:
    findings = select(_FINDING.examination_id, *_named(_FINDING, _OF_FINDING))
    findings = findings.join(_TABLES["examinations"], _EXAMINATION.id == _FINDING.examination_id)
    seen: dict[int, list[Finding]] = defaultdict(list)
    order = (_FINDING.examination_id, _FINDING.position)
    for number, *values in rows.rows(_of_runs(findings, numbers, _EXAMINATION).order_by(*order)):
        seen[number].append(as_said_now(Finding(*values)))
    every = select(_EXAMINATION.id, _EXAMINATION.checkpoint_id, *_named(_EXAMINATION, _OF_EXAMINATION))
    found = defaultdict(list)
    for number, checkpoint, *values in rows.rows(_of_runs(every, numbers, _EXAMINATION).order_by(_EXAMINATION.id)):
        own = dict(zip(_OF_EXAMINATION, values, strict=True))
        found[checkpoint].append(ExaminationRecord(**own, findings=tuple(seen[number])))
    return found


def _named(table: Any, names: Sequence[str]) -> list[Column[Any]]:
    return [table[name] for name in names]


def _of_runs(query: Select[Any], numbers: Sequence[int], table: Any = _EVALUATION) -> Select[Any]:
    """Of a query for parts of checkpoints, those of these runs."""
    joined = query.join(_TABLES["checkpoints"], _CHECKPOINT.id == table.checkpoint_id)
    return joined.where(_CHECKPOINT.run_id.in_(numbers))
