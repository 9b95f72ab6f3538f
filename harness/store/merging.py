"""Taking the results of one database into another one, such as a colleague's, or those of another machine."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

from harness.errors import StoreError
from harness.store import database
from harness.store.checking import check_database, require_there
from harness.store.connecting import writing_on
from harness.store.merged_results import Merged, copied
from harness.store.merged_runs import RunMerge, counting_runs
from harness.store.models import free_name, model_identity
from harness.store.same_place import is_same
from harness.store.schema import DatasetRow, ModelRow, ProtocolRow, RemovedAttemptRow, RunRow
from harness.store.server import is_server
from harness.store.store import Store

SameFunction = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]


def merge_database(source: str, into: str | None, same_function: SameFunction, *, dry_run: bool = False) -> Merged:
    """Add what a database has and another one lacks, with its provenance, in one transaction.

    A row is known by its identity, never by its number: a trained network by what decides its weights and by their
    hashes, a model from elsewhere by its weights and its probe, an evaluation by the weights, the attack with its
    settings and seed, and the images. So a second merge adds nothing. No verdict of the database that is written
    changes: of two trainings of one run with other weights, and of two evaluations with other verdicts, what is there
    stays, and the conflict is named. A training that failed comes along if a row counts it as a failed seed. What is
    not finished is left out, and named.

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
        runs = list(old.scalars(select(RunRow).order_by(RunRow.id)))
        counting = counting_runs(runs)
        for run in runs:
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


class _Merge(RunMerge):
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
