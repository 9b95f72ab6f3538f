"""Trainings: makes items of work of the missing ones, and keeps what they report."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from harness.errors import HarnessError, PluginFault, TrainingFailed, WorkerLost, one_line
from harness.events import (
    Began,
    CheckpointDone,
    Ended,
    EpochDone,
    Event,
    Noted,
    Report,
    TrainingBegan,
    training_key,
)
from harness.execution.claimed import Claimed
from harness.execution.claims import Claims
from harness.execution.log import LOG_FILE, logging_to
from harness.execution.owners import run_opened
from harness.execution.summary import TRAINING, Summary
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
        self._keys: set[str] = set()
        self._began: dict[str, float] = {}  # trainings at work, by this process's clock

    def works(self, opened: Sequence[Opened]) -> list[TrainWork]:
        """The trainings as items of work; the store records that this command is going to do them."""
        self._claims.queue([record.id for _, record in opened])
        self._keys = {training_key(record.id) for _, record in opened}
        return [self._work(gap, record) for gap, record in opened]

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

    def end(self, work: TrainWork, error: HarnessError | None, source: Claimed[Any]) -> bool:
        """Keep how a training ended.

        Returns:
            Whether it is done with: it is not where it stopped on the way, or its lease was lost.
        Raises:
            HarnessError: a data set cannot be used. A training that fails raises nothing: the summary names it.
        """
        if isinstance(error, (TrainingFailed, PluginFault)):
            self._claims.keep(work.key, partial(self._fail, work.run_id, work.folder, str(error)))
        elif error is None:
            kept = self._claims.keep(work.key, lambda lease: self._store.end_run(work.run_id, lease=lease))
            self._summary.trained += kept
        ended = time.perf_counter()
        self._summary.busy_s[TRAINING] += ended - self._began.pop(work.key, ended)
        if not source.ended(work, error):
            return False
        self._tell(Ended(work.key, failed=error is not None, reason=one_line(error) if error else None))
        if isinstance(error, WorkerLost):
            self._summary.undone[work.key] = f"{error}; the same command goes on from the training's last state"
            self._tell(OwnerClosed(run_owner(work.run_id), str(error)))
        elif error is not None and not isinstance(error, (TrainingFailed, PluginFault)):
            raise error
        return True

    def hear_of_others(self, work: TrainWork) -> None:
        """Tell of a run that another process has trained, if it failed there."""
        record = self._store.run(work.run_id)
        if record.status == "failed" and work.run_id not in self._summary.failures:
            self._summary.failures[work.run_id] = f"{record.failure} (log: {work.folder / LOG_FILE})"
            self._tell(OwnerClosed(run_owner(work.run_id), record.failure))

    def _fail(self, run_id: int, folder: Path, reason: str, lease: Lease) -> None:
        self._store.end_run(run_id, reason, lease)
        self._summary.failures[run_id] = f"{reason} (log: {folder / LOG_FILE})"
        self._tell(OwnerClosed(run_owner(run_id), reason))

    def hear(self, event: Event) -> None:
        """Keep what a training reports, and tell it."""
        kept = True
        if isinstance(event, Began) and event.key in self._keys:
            self._began[event.key] = time.perf_counter()
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
