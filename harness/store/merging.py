"""Taking the results of one database into another one, such as a colleague's, or those of another machine."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

from harness.errors import StoreError
from harness.store import database
from harness.store.checking import check_database, require_there
from harness.store.connecting import writing_on
from harness.store.merged_results import Merged, ResultMerge, copied
from harness.store.models import free_name, model_identity
from harness.store.same_place import is_same
from harness.store.schema import DatasetRow, ModelRow, ProtocolRow, RemovedAttemptRow, RunRow
from harness.store.server import is_server
from harness.store.store import Store

SameFunction = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]
_SIZES = ("train_examples", "test_examples", "channels", "height", "width", "classes")


def merge_database(source: str, into: str | None, same_function: SameFunction, *, dry_run: bool = False) -> Merged:
    """Add what a database has and another one lacks, with its provenance, in one transaction.

    A row is known by its identity, never by its number: a trained network by what decides its weights and by their
    hashes, a model from elsewhere by its weights and its probe, an evaluation by the weights, the attack with its
    settings and seed, and the images. So a second merge adds nothing. No figure of the database that is written
    changes: of two trainings of one run with other weights, and of two evaluations with other verdicts, what is there
    stays, and the conflict is named. What is not finished is left out, and named.

    Args:
        source: the path or the URL of a database; it is checked first, and only read.
        into: the database that is written, as for ``--db``; it is created if it is missing.
        same_function: whether two probes come from one model from elsewhere; see ``harness.targets.probe``.
        dry_run: only tell; write nothing.
    Raises:
        StoreError: a database cannot be opened, or has another schema; the source is not sound; they are the same; or
            they have another data set of one fingerprint. Nothing has been written.
    """
    url, target_url = database.locate(source), database.locate(into)
    name = database.shown(url)
    require_there(url)
    if is_same(url, target_url):
        raise StoreError(f"{name} cannot be taken into itself; name another database")
    _refuse_older(url, database.schema_of(url))
    checked = check_database(source)
    if not checked.sound:
        first, others = checked.problems[0], len(checked.problems) + checked.more - 1
        raise StoreError(
            f"{name} is not sound, so nothing is taken from it: {first.where}: {first.what}"
            f"{f', and {others} more problems' if others else ''}; `harness db check --db {name}` lists what is wrong"
        )
    reading = database.open_for_reading(url)
    if dry_run and not database.is_there(target_url):
        writing = database.in_memory()
    else:
        if not dry_run:
            Store.write(
                into
            ).close()  # creates the database, and adds the published figures that ship with this version
        writing = database.open_for_writing(target_url)
    try:
        return merge_engines(reading, writing, same_function, keep=not dry_run)
    finally:
        reading.dispose()
        writing.dispose()


def _refuse_older(url: URL, revision: str) -> None:
    source = database.shown(url)
    if revision != database.REVISION and is_server(url):
        raise StoreError(
            f"{source} has the older schema {revision}: back it up, upgrade it by `harness db upgrade --no-backup`, and"
            " merge it then"
        )
    if revision != database.REVISION:
        copy = f"{source.removesuffix('.db')}-{database.REVISION}.db"
        raise StoreError(
            f"{source} has the older schema {revision}: upgrade a copy of it, by `harness db copy {copy} --db {source}`"
            f" and `harness db upgrade --no-backup --db {copy}`, and merge {copy}"
        )


def merge_engines(reading: Engine, writing: Engine, same_function: SameFunction, *, keep: bool = True) -> Merged:
    """As ``merge_database``, from a sound database that is open.

    Args:
        keep: False: undo all at the end.
    """
    with Session(reading) as old, Session(writing_on(writing)) as new:
        merge = _Merge(new, same_function)
        for protocol in old.scalars(select(ProtocolRow).order_by(ProtocolRow.id)):
            merge.take_protocol(protocol)
        for dataset in old.scalars(select(DatasetRow).order_by(DatasetRow.id)):
            merge.take_dataset(dataset)
        runs = list(old.scalars(select(RunRow).order_by(RunRow.attempt)))
        counting = {run.identity: run for run in runs if run.status == "done"}  # a later attempt may have stopped
        for run in sorted(runs, key=lambda run: run.id):
            merge.take_run(run, counting.get(run.identity))
        for model in old.scalars(select(ModelRow).order_by(ModelRow.id)):
            merge.take_model(model)
        for removed in old.scalars(select(RemovedAttemptRow)):
            merge.take_removed(removed)
        if keep:
            new.commit()
        else:
            new.rollback()
    return merge.merged


class _Merge(ResultMerge):
    """Adds rows to the database of a session. Rows that are given belong to another session, which only reads."""

    def __init__(self, new: Session, same_function: SameFunction) -> None:
        super().__init__(new)
        self._same_function = same_function

    def take_protocol(self, protocol: ProtocolRow) -> None:
        known = self._new.scalar(select(ProtocolRow).filter_by(fingerprint=protocol.fingerprint))
        name = f"protocol {protocol.name} {protocol.fingerprint[:8]}"
        if known is None:
            self._new.add(copied(protocol))
            self.merged.protocols += 1
        elif list(known.attacks.items()) != list(protocol.attacks.items()):
            self.merged.conflicts.append(f"{name}: it is there already, with other settings of its attacks")
        elif known.name != protocol.name:
            self.merged.left.append(f"{name}: it is there already, as {known.name}")

    def take_run(self, run: RunRow, counting: RunRow | None) -> None:
        """Add a trained network, or what is missing of its results.

        Args:
            counting: the newest attempt at the same run that is done; None: no attempt is.
        """
        name = f"run {run.id} ({run.folder})"
        if run.status != "done":
            self.merged.left.append(f"{name}: its training is not finished")
            return
        if not run.checkpoints:
            self.merged.left.append(f"{name}: it has no weights to be known by")
            return
        known = list(self._new.scalars(select(RunRow).filter_by(identity=run.identity).order_by(RunRow.attempt)))
        trained = [other for other in known if other.status == "done"]
        alike = [other for other in trained if _weights(other) == _weights(run)]
        if not alike and run is not counting:
            assert counting is not None
            self.merged.left.append(f"{name}: it is an earlier attempt than run {counting.id}, which counts")
            return
        if trained and not alike:
            self.merged.conflicts.append(f"{name}: it is there already as run {trained[-1].id}, with other weights")
            return
        if alike:
            its = alike[-1]
            self._leave_remarks(name, run, its)
            self._take_records(name, run, its)
        else:
            its = self._added(run, known)
            self.merged.runs += 1
        checkpoints = {checkpoint.name: checkpoint for checkpoint in its.checkpoints}
        for checkpoint in run.checkpoints:
            self.take_results(f"{name}, {checkpoint.name}", checkpoint, checkpoints[checkpoint.name])

    def take_model(self, model: ModelRow) -> None:
        """Add a model from elsewhere, or what is missing of its results."""
        name, found = f"model {model.name}", self._same_model(model)
        if found is None:
            self.merged.conflicts.append(f"{name}: one with its weights is there, without a probe to compare")
            return
        identity, known = found
        if known is None:
            known = copied(model, without=("evaluations", "examinations"))
            known.identity, known.dataset = identity, self.dataset(model.dataset)
            known.name = free_name(self._new, model.name, known.dataset.id)
            if known.name != model.name:
                self.merged.conflicts.append(f"{name}: another model has its name; it is called {known.name!r} there")
            self._new.add(known)
            self.merged.models += 1
        else:
            if known.name != model.name:
                self.merged.left.append(f"{name}: it is there already, as {known.name}")
            self._leave_remarks(name, model, known)
        self.take_results(name, model.checkpoint, known.checkpoint)

    def take_removed(self, removed: RemovedAttemptRow) -> None:
        """Have later attempts at a run count on from those that either database removed."""
        known = self._new.get(RemovedAttemptRow, removed.identity)
        attempt = max(removed.attempt, known.attempt if known is not None else 0)
        self._new.merge(RemovedAttemptRow(identity=removed.identity, attempt=attempt))

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
        copy = copied(run, without=("evaluations", "examinations"))
        removed = self._new.get(RemovedAttemptRow, run.identity)
        earlier = [other.attempt for other in known] + ([removed.attempt] if removed is not None else [])
        copy.attempt = max([run.attempt, *(attempt + 1 for attempt in earlier)])
        if copy.attempt != run.attempt:
            copy.folder = f"{run.folder}-{copy.attempt}"  # the other attempt has, or had, the folder
        copy.dataset = self.dataset(run.dataset)
        self._new.add(copy)
        return copy

    def _leave_remarks(self, name: str, mine: RunRow | ModelRow, its: RunRow | ModelRow) -> None:
        """Say which remarks are left out: a row that is there keeps its own note and tags."""
        lost = [f"the note {mine.note!r}"] if mine.note not in (None, its.note) else []
        lost += [f"the tag {tag}" for tag in mine.tags if tag not in its.tags]
        if lost:
            self.merged.left.append(f"{name}: {', '.join(lost)}, since what is there keeps its own note and tags")

    def _take_records(self, name: str, run: RunRow, known: RunRow) -> None:
        """Add the curves and histograms of the same training, if they were recorded in the other database alone."""
        differing = []
        if not known.curves:
            known.curves = [copied(curve) for curve in run.curves]
        elif run.curves and _curves(run) != _curves(known):
            differing.append("curves")
        epochs = {epoch.epoch: epoch for epoch in known.epochs}
        for epoch in run.epochs:
            its = epochs.get(epoch.epoch)
            if its is None or (epoch.loss, epoch.lr, epoch.images) != (its.loss, its.lr, its.images):
                differing.append(f"epoch {epoch.epoch}")
            elif not its.histograms:
                its.histograms = [copied(histogram) for histogram in epoch.histograms]
            elif epoch.histograms and _histograms(epoch.histograms) != _histograms(its.histograms):
                differing.append(f"histograms of epoch {epoch.epoch}")
        if differing:
            shown = ", ".join(differing[:3]) + (" and more" if len(differing) > 3 else "")
            self.merged.left.append(f"{name}: its {shown}, since its training is there already, recorded otherwise")

    def take_dataset(self, row: DatasetRow) -> None:
        """Add a data set, or say under which other name it is there."""
        known = self.dataset(row)
        for what in ("name", "class_names"):
            if getattr(row, what) not in (None, getattr(known, what)):
                words = what.replace("_", " ")
                self.merged.left.append(f"data set {row.name}: its {words}, since it has another one here")

    def dataset(self, row: DatasetRow) -> DatasetRow:
        """The data set here, added if it is missing."""
        known = self._new.scalar(select(DatasetRow).filter_by(fingerprint=row.fingerprint))
        if known is None:
            known = copied(row)
            self._new.add(known)
            self._new.flush()
        elif differing := [size for size in _SIZES if getattr(known, size) != getattr(row, size)]:
            raise StoreError(
                f"nothing is taken: the data set {row.name} has {getattr(row, differing[0])} {differing[0]}, and"
                f" {getattr(known, differing[0])} here, under one fingerprint; find out which database is wrong"
            )
        elif known.class_names is None:
            known.class_names = row.class_names
        return known


def _weights(run: RunRow) -> dict[str, str]:
    return {checkpoint.name: checkpoint.sha256 for checkpoint in run.checkpoints}


def _curves(run: RunRow) -> dict[tuple[object, ...], list[tuple[int, int]]]:
    return {
        (curve.part, curve.attack, curve.settings_sha256, curve.images): [(p.epoch, p.correct) for p in curve.points]
        for curve in run.curves
    }


def _histograms(rows: Sequence[Any]) -> list[tuple[object, ...]]:
    """In one order: each database orders texts its way."""
    return sorted((row.name, row.low, row.high, tuple(row.counts)) for row in rows)
