"""Taking runs, and the data sets they are of, into another database: networks that are done, and failed seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from harness.errors import StoreError, TrainingFailed
from harness.store.merged_results import ResultMerge, copied
from harness.store.schema import DatasetRow, ModelRow, RemovedAttemptRow, RunRow

_SIZES = ("train_examples", "test_examples", "channels", "height", "width", "classes")


def counting_runs(runs: Iterable[RunRow]) -> dict[str, RunRow]:
    """Of each identity the newest attempt that is done, a row's network; if none is, the newest that failed.

    Of the failed ones only those count that are failed seeds of a row. A later attempt may have been stopped.
    """
    runs = sorted(runs, key=lambda run: run.attempt)
    failed = {run.identity: run for run in runs if run.status == "failed"}
    done = {run.identity: run for run in runs if run.status == "done"}
    return {identity: run for identity, run in failed.items() if is_failed_seed(run)} | done


def is_failed_seed(run: RunRow) -> bool:
    """Whether the training itself failed; a plugin or a machine that failed says nothing of a training seed."""
    return run.status == "failed" and TrainingFailed.is_told_by(run.failure or "")


class RunMerge(ResultMerge):
    """The base of a merge: runs and data sets. Rows that are given belong to a session that only reads."""

    def take_run(self, run: RunRow, counting: RunRow | None) -> None:
        """Add a trained network, or what is missing of its results; or a training that failed.

        Args:
            counting: the attempt at the same run that counts, see ``counting_runs``; None: no attempt does.
        """
        name = f"run {run.id} ({run.folder})"
        if run.status == "failed":
            self._take_failed(name, run, counting)
            return
        if run.status != "done":
            self.merged.left.append(f"{name}: its training is not finished")
            return
        if not run.checkpoints:
            self.merged.left.append(f"{name}: it has no weights to be known by")
            return
        known = self._attempts(run)
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
        self._take_all_results(name, run, its)

    def _take_failed(self, name: str, run: RunRow, counting: RunRow | None) -> None:
        """Add a training that failed, if a row counts it as a failed seed, and would count none here without it."""
        failed = f"{name}: its training failed: {run.failure}"
        if run is not counting:
            self.merged.left.append(failed if counting is None else f"{failed}; run {counting.id} counts")
            return
        known = self._attempts(run)
        there = [other for other in known if other.status == "done" or is_failed_seed(other)]
        if not there:
            its = self._added(run, known)
            self.merged.runs += 1
        else:
            its = there[-1]
            if (its.status, its.failure, _weights(its)) != (run.status, run.failure, _weights(run)):
                self.merged.left.append(f"{failed}; run {its.id} is here already, and {_ended(its)}")
                return
            self._leave_remarks(name, run, its)
            self._take_records(name, run, its)
        self._take_all_results(name, run, its)

    def _take_all_results(self, name: str, run: RunRow, its: RunRow) -> None:
        """Add what is missing of the results of each checkpoint; both runs have the same ones."""
        checkpoints = {checkpoint.name: checkpoint for checkpoint in its.checkpoints}
        for checkpoint in run.checkpoints:
            self.take_results(f"{name}, {checkpoint.name}", checkpoint, checkpoints[checkpoint.name])

    def _attempts(self, run: RunRow) -> list[RunRow]:
        """The attempts at a run that are here, in their order."""
        return list(self._new.scalars(select(RunRow).filter_by(identity=run.identity).order_by(RunRow.attempt)))

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


def _ended(run: RunRow) -> str:
    return "is done" if run.status == "done" else f"failed, too: {run.failure}"


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
