"""Taking the results of one database into another one, such as those of another machine into ``leaderboard.db``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Engine, inspect, select
from sqlalchemy.orm import Session

from harness.errors import StoreError
from harness.store import database
from harness.store.models import free_name, model_identity
from harness.store.schema import (
    CheckpointRow,
    DatasetRow,
    EvaluationRow,
    ModelRow,
    ProtocolRow,
    RemovedAttemptRow,
    RunRow,
)
from harness.store.schema_base import Base
from harness.store.store import Store

Row = TypeVar("Row", bound=Base)
SameFunction = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]


@dataclass
class Merged:
    """What a merge added; ``left`` says in words what was left out, and why."""

    protocols: int = 0
    runs: int = 0
    models: int = 0
    evaluations: int = 0
    examinations: int = 0
    left: list[str] = field(default_factory=list)


def merge_database(source: str, into: str | None, same_function: SameFunction) -> Merged:
    """Add what a database has and another one lacks, with its provenance, in one transaction.

    A row is known by its identity, never by its number: a trained network by what decides its weights and by their
    hashes, a model from elsewhere by its weights and its probe, an evaluation by the weights, the attack with its
    settings and seed, and the images. So a second merge adds nothing. Trainings that are not finished and evaluations
    that are not complete are left out. If the other database has the same evaluation, not complete, the complete one
    takes its place. Of two examinations with the same settings the newer one stays; but of two that examined verdicts,
    the one that saw all of them. A new run or model comes with its note and tags; one that is there keeps its own.

    Args:
        source: a path or a URL; it is only read.
        into: the database that is written, as for ``--db``; it is created if it is missing.
        same_function: whether two probes come from one model from elsewhere; see ``harness.targets.probe``.
    Raises:
        StoreError: a database cannot be opened, or has another schema; they are the same. Nothing has been written.
    """
    url = database.locate(source)
    file, target = database.sqlite_file(url), database.sqlite_file(database.locate(into))
    if file is not None and not (file.exists() and file.stat().st_size):
        raise StoreError(f"there is no database {file} to take results from")
    if file is not None and target is not None and target.exists() and file.samefile(target):
        raise StoreError(f"{file} cannot be taken into itself; name another database")
    reading = database.open_for_reading(url)
    Store.write(into).close()  # creates the database, and adds the published figures that ship with this version
    writing = database.open_for_writing(database.locate(into))
    try:
        return _merge(reading, writing, same_function)
    finally:
        reading.dispose()
        writing.dispose()


def _merge(reading: Engine, writing: Engine, same_function: SameFunction) -> Merged:
    with Session(reading) as old, Session(writing.execution_options(harness_begin="IMMEDIATE")) as new, new.begin():
        merge = _Merge(new, same_function)
        for protocol in old.scalars(select(ProtocolRow).order_by(ProtocolRow.id)):
            merge.take_protocol(protocol)
        runs = list(old.scalars(select(RunRow).order_by(RunRow.attempt)))
        newest = {run.identity: run for run in runs}
        counting = {run.identity: run for run in runs if run.status == "done"}  # a later attempt may have stopped
        for run in sorted({*newest.values(), *counting.values()}, key=lambda run: run.id):
            merge.take_run(run)
        for model in old.scalars(select(ModelRow).order_by(ModelRow.id)):
            merge.take_model(model)
    return merge.merged


class _Merge:
    """Adds rows to the database of a session. Rows that are given belong to another session, which only reads."""

    def __init__(self, new: Session, same_function: SameFunction) -> None:
        self._new, self._same_function, self.merged = new, same_function, Merged()

    def take_protocol(self, protocol: ProtocolRow) -> None:
        if self._known(protocol, "fingerprint") is None:
            self._new.add(_copied(protocol))
            self.merged.protocols += 1

    def take_run(self, run: RunRow) -> None:
        """Add a trained network, or what is missing of its results."""
        name = f"run {run.id} ({run.folder})"
        if run.status != "done":
            self.merged.left.append(f"{name}: its training is not finished")
            return
        known = list(self._new.scalars(select(RunRow).filter_by(identity=run.identity).order_by(RunRow.attempt)))
        trained = [other for other in known if other.status == "done"]
        alike = [other for other in trained if _weights(other) == _weights(run)]
        if trained and not alike:
            self.merged.left.append(f"{name}: it is there already, with other weights")
            return
        if alike:
            self._leave_remarks(name, run, alike[-1])
            self._take_records(run, alike[-1])
        else:
            alike = [self._added(run, known)]
            self.merged.runs += 1
        checkpoints = {checkpoint.name: checkpoint for checkpoint in alike[-1].checkpoints}
        for checkpoint in run.checkpoints:
            self._take_results(f"{name}, {checkpoint.name}", checkpoint, checkpoints[checkpoint.name])

    def take_model(self, model: ModelRow) -> None:
        """Add a model from elsewhere, or what is missing of its results."""
        found = self._same_model(model)
        if found is None:
            self.merged.left.append(f"model {model.name}: one with its weights is there, without a probe to compare")
            return
        identity, known = found
        if known is None:
            known = _copied(model, without=("evaluations", "examinations"))
            known.identity, known.dataset = identity, self._dataset(model.dataset)
            known.name = free_name(self._new, model.name, known.dataset.id)
            self._new.add(known)
            self.merged.models += 1
        else:
            self._leave_remarks(f"model {model.name}", model, known)
        self._take_results(f"model {model.name}", model.checkpoint, known.checkpoint)

    def _same_model(self, model: ModelRow) -> tuple[str, ModelRow | None] | None:
        """The identity of a model here, and its row, if there is one; None if that cannot be told.

        Each database counts the functions of equal weights for itself, so the number of a function means nothing here.
        """
        for number in itertools.count(1):
            identity = model_identity(model.checkpoint.sha256, model.dataset.fingerprint, number)
            known = self._new.scalar(select(ModelRow).filter_by(identity=identity))
            if known is None:
                return identity, None
            if known.probe and model.probe:
                same = self._same_function(known.probe, model.probe)
            else:  # if code of the user decides what is computed, only the row itself is surely the same
                if (known.code or model.code) and known.created_utc != model.created_utc:
                    return None
                same = True
            if same:
                return identity, known
        raise AssertionError("unreachable")

    def _added(self, run: RunRow, known: Sequence[RunRow]) -> RunRow:
        """The run without its results; a later attempt than those that the database has, or had until a removal."""
        copy = _copied(run, without=("evaluations", "examinations"))
        removed = self._new.get(RemovedAttemptRow, run.identity)
        earlier = [other.attempt for other in known] + ([removed.attempt] if removed is not None else [])
        copy.attempt = max([run.attempt, *(attempt + 1 for attempt in earlier)])
        if copy.attempt != run.attempt:
            copy.folder = f"{run.folder}-{copy.attempt}"  # the other attempt has, or had, the folder
        copy.dataset = self._dataset(run.dataset)
        self._new.add(copy)
        return copy

    def _leave_remarks(self, name: str, mine: RunRow | ModelRow, its: RunRow | ModelRow) -> None:
        """Say which remarks are left out: a row that is there keeps its own note and tags."""
        lost = [f"the note {mine.note!r}"] if mine.note not in (None, its.note) else []
        lost += [f"the tag {tag}" for tag in mine.tags if tag not in its.tags]
        if lost:
            self.merged.left.append(f"{name}: {', '.join(lost)}, since what is there keeps its own note and tags")

    def _take_results(self, name: str, mine: CheckpointRow, its: CheckpointRow) -> None:
        """Add to one checkpoint the evaluations and examinations of another one with the same weights."""
        evaluations = {_key(evaluation): evaluation for evaluation in its.evaluations}
        ours, theirs = ({_key(e) for e in each.evaluations if _complete(e)} for each in (mine, its))
        for evaluation in mine.evaluations:
            known = evaluations.get(_key(evaluation))
            one = f"{name}: {evaluation.attack}, seed {evaluation.seed},"
            if not _complete(evaluation):
                self.merged.left.append(f"{one} is not complete")
            elif known is None or not _complete(known):
                self._replace(its.evaluations, known, evaluation)
                self.merged.evaluations += 1
            elif _verdicts(known) != _verdicts(evaluation):
                self.merged.left.append(f"{one} is there already, with other verdicts")
        examinations = {examination.settings_sha256: examination for examination in its.examinations}
        for examination in mine.examinations:
            older = examinations.get(examination.settings_sha256)
            newer = older is None or older.created_utc < examination.created_utc
            if examination.settings.get("kind") == "verdicts" and ours != theirs:
                newer = theirs < ours
                if not newer and not ours < theirs:
                    self.merged.left.append(f"{name}: the checks of its verdicts, which saw those of one database only")
            if newer:
                self._replace(its.examinations, older, examination)
                self.merged.examinations += 1

    def _replace(self, rows: list[Row], old: Row | None, row: Row) -> None:
        if old is not None:
            rows.remove(old)
            self._new.flush()  # the old row must go first: both are unique in the same way
        rows.append(_copied(row))

    def _take_records(self, run: RunRow, known: RunRow) -> None:
        """Add the curves and histograms of the same training, if they were recorded in the other database alone."""
        if not known.curves:
            known.curves = [_copied(curve) for curve in run.curves]
        epochs = {epoch.epoch: epoch for epoch in known.epochs}
        for epoch in run.epochs:
            mine = epochs.get(epoch.epoch)
            if mine is not None and not mine.histograms:
                mine.histograms = [_copied(histogram) for histogram in epoch.histograms]

    def _dataset(self, row: DatasetRow) -> DatasetRow:
        known = self._known(row, "fingerprint")
        if known is None:
            known = _copied(row)
            self._new.add(known)
            self._new.flush()
        return known

    def _known(self, row: Row, column: str) -> Row | None:
        """The row with the same value in a column that is unique."""
        kind = type(row)
        return self._new.scalar(select(kind).filter_by(**{column: getattr(row, column)}))


def _weights(run: RunRow) -> dict[str, str]:
    return {checkpoint.name: checkpoint.sha256 for checkpoint in run.checkpoints}


def _key(row: EvaluationRow) -> tuple[object, ...]:
    return row.attack, row.settings_sha256, row.seed, row.examples, row.sample, row.attempt


def _complete(row: EvaluationRow) -> bool:
    return sum(block.examples for block in row.blocks) == row.examples


def _verdicts(row: EvaluationRow) -> list[tuple[int, int, bytes]]:
    return [(block.start, block.examples, block.verdicts) for block in row.blocks]


def _copied(row: Row, without: Sequence[str] = ()) -> Row:
    """A new row with the same values and the parts it owns; its number and its references are left to the database.

    Args:
        without: parts, of the row or of its parts, that are left out.
    """
    mapper = inspect(type(row))
    plain = [a.key for a in mapper.column_attrs if a.key != "id" and not a.columns[0].foreign_keys]
    copy = type(row)(**{key: getattr(row, key) for key in plain})
    for relation in mapper.relationships:
        if relation.cascade.delete_orphan and relation.key not in without:  # the row owns it
            parts = getattr(row, relation.key)
            copies = [_copied(part, without) for part in parts] if relation.uselist else _copied(parts, without)
            setattr(copy, relation.key, copies)
    return copy
