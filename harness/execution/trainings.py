"""Trains networks: takes the missing trainings, has them done, and keeps what they report."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import torch

from harness.errors import PluginFault, TrainingFailed, WorkerLost, one_line
from harness.events import (
    CheckpointDone,
    Ended,
    EpochDone,
    Event,
    Noted,
    Report,
    TrainingBegan,
    training_key,
)
from harness.execution.claims import Claims
from harness.execution.executors.executor import Executor, Performed
from harness.execution.log import LOG_FILE, logging_to
from harness.execution.owners import run_opened
from harness.execution.summary import Summary
from harness.execution.work import TrainWork
from harness.planning.missing import RunGap
from harness.runtime.device import device_label, training_threads
from harness.runtime.provenance import provenance
from harness.store.folders import run_folder
from harness.store.leases import Lease
from harness.store.records import RunRecord
from harness.store.store import Store
from harness.trackers.outcomes import OwnerClosed, run_owner

Opened = tuple[RunGap, RunRecord]
"""A training that is missing, and its run in the store."""


class Trainings:
    """The trainings of a command.

    Args:
        listen: receives every event, once the store has it.
        summary: gets what was done, and what failed.
    """

    def __init__(self, store: Store, runs_dir: Path, listen: Report, summary: Summary, claims: Claims) -> None:
        self._store, self._runs_dir, self._tell = store, runs_dir, listen
        self._summary, self._claims = summary, claims

    def train(self, opened: Sequence[Opened], executor: Executor) -> None:
        """Train every run, or wait for the process that trains it.

        Raises:
            HarnessError: a data set cannot be used. A training that fails raises nothing: the summary names it.
            Stopped: somebody asked to stop; the states are saved.
        """
        started = time.perf_counter()
        self._claims.queue([record.id for _, record in opened])
        works = [self._work(gap, record) for gap, record in opened]
        # a large network takes all cores, so large ones are trained one by one; small ones side by side
        alone = [work for work in works if work.threads > 1] if executor.whole_machine else []
        together = [work for work in works if work.threads == 1 or not executor.whole_machine]
        groups: list[list[TrainWork]] = [together, *([work] for work in alone)]
        for group in groups:
            for outcome in executor.run(self._claims.each(group, lambda _work: True), self._hear):
                self._end(outcome)
        self._claims.raise_if_stopped()
        self._summary.training_s = time.perf_counter() - started
        records = self._store.runs_numbered([work.run_id for work in works])
        for work in works:
            self._hear_of_others(work, records[work.run_id])

    def refuse(self, opened: Iterable[Opened]) -> None:
        """Record runs that cannot be trained on this machine as failed; a plugin's traceback goes to the run's log."""
        for gap, record in opened:
            if gap.refusal is None:
                continue
            lease, folder = self._claims.take(training_key(record.id), record.id), run_folder(self._runs_dir, record)
            if not isinstance(lease, Lease):  # there the plugin works
                there = "another process has trained it" if lease is None else f"{lease.worker.title} trains it"
                self._tell(Noted(f"run {record.id} cannot be trained here, and {there}: {gap.refusal}"))
                continue
            with logging_to(folder / LOG_FILE, self._tell):
                logging.getLogger("harness.plugins").error("%s", gap.refusal, exc_info=gap.refusal.__cause__)
            place = provenance(device_label(gap.job.device), torch.get_num_threads())
            self._store.add_provenance(record.id, place, lease)
            self._tell(run_opened(record, gap))
            self._fail(record.id, folder, str(gap.refusal), lease)

    def _work(self, gap: RunGap, record: RunRecord) -> TrainWork:
        return TrainWork(
            spec=gap.spec,
            run_id=record.id,
            place=gap.job.place,
            dataset_fingerprint=gap.job.dataset.fingerprint,
            folder=run_folder(self._runs_dir, record),
            device=gap.job.device,
            threads=training_threads(gap.job.parameters, gap.job.device, len(gap.job.devices)),
            plugins=gap.job.plugins,
            plain=gap.job.plain,
            curve=gap.job.curve,
            state_every_s=gap.job.state_every_s,
            deterministic=gap.job.deterministic,
            trained=gap.job.trained,
        )

    def _end(self, outcome: Performed[TrainWork]) -> None:
        """Keep how a training ended."""
        work, error = outcome.work, outcome.error
        if isinstance(error, (TrainingFailed, PluginFault)):
            self._claims.keep(work.key, partial(self._fail, work.run_id, work.folder, str(error)))
        elif error is None:
            kept = self._claims.keep(work.key, lambda lease: self._store.end_run(work.run_id, lease=lease))
            self._summary.trained += kept
        if self._claims.ended(work, error):
            self._tell(Ended(work.key, failed=error is not None, reason=one_line(error) if error else None))
            if isinstance(error, WorkerLost):
                self._summary.undone[work.key] = f"{error}; the same command goes on from the training's last state"
                self._tell(OwnerClosed(run_owner(work.run_id), str(error)))
            elif error is not None and not isinstance(error, (TrainingFailed, PluginFault)):
                raise error

    def _hear_of_others(self, work: TrainWork, record: RunRecord) -> None:
        """Tell of a run that another process trained meanwhile."""
        if record.status == "failed" and work.run_id not in self._summary.failures:
            self._summary.failures[work.run_id] = f"{record.failure} (log: {work.folder / LOG_FILE})"
            self._tell(OwnerClosed(run_owner(work.run_id), record.failure))

    def _fail(self, run_id: int, folder: Path, reason: str, lease: Lease) -> None:
        self._store.end_run(run_id, reason, lease)
        self._summary.failures[run_id] = f"{reason} (log: {folder / LOG_FILE})"
        self._tell(OwnerClosed(run_owner(run_id), reason))

    def _hear(self, event: Event) -> None:
        kept = True
        if isinstance(event, (TrainingBegan, EpochDone, CheckpointDone)):
            kept = self._claims.keep(training_key(event.run_id), partial(self._store_event, event))
        if kept:
            self._tell(event)

    def _store_event(self, event: TrainingBegan | EpochDone | CheckpointDone, lease: Lease) -> None:
        if isinstance(event, TrainingBegan):
            self._store.add_provenance(event.run_id, event.provenance, lease)
        elif isinstance(event, EpochDone):
            self._store.add_epoch(event.run_id, event.record, lease)
        else:
            self._store.add_checkpoint(event.run_id, event.name, event.epoch, event.sha256, lease)
