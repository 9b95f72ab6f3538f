"""Conducts a plan: trains what is not trained, attacks what is not attacked, and keeps every outcome in the store.

This process is the only one that writes to the store; workers report to it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from harness.errors import PluginFault, TrainingFailed
from harness.events import CheckpointDone, EpochDone, Event, Report
from harness.execution.attacking import Attacking
from harness.execution.executors.choice import executor_for
from harness.execution.executors.executor import Executor
from harness.execution.summary import Summary
from harness.execution.work import LOG_FILE, TrainWork, logging_to
from harness.planning.assessment import Assessment
from harness.planning.plan import RunGap, make_plan
from harness.planning.run_request import RunJob
from harness.runtime.device import device_label
from harness.runtime.provenance import provenance
from harness.store.records import RunRecord
from harness.store.store import Store
from harness.targets.model import RunWeights
from harness.training.checkpoints import weights_file

LARGE_NETWORK = 1_000_000  # parameters; below it a second CPU thread costs more than it gives


def default_workers(job: Assessment) -> int:
    """One worker a core on the CPU; one on a CUDA device."""
    return (os.cpu_count() or 1) if job.device.type == "cpu" else 1


def training_threads(job: RunJob) -> int:
    """CPU threads of a training: decided by the network and the machine, not by what else there is to do."""
    return (os.cpu_count() or 1) if job.parameters >= LARGE_NETWORK and job.device.type == "cpu" else 1


class Conductor:
    """Does what jobs ask for and the store lacks.

    Args:
        jobs: on one device.
        listen: hears every event, after the store has it.
    """

    def __init__(self, jobs: Sequence[RunJob], store: Store, runs_dir: Path, listen: Report, workers: int) -> None:
        self.jobs, self.store, self.runs_dir, self.workers = jobs, store, runs_dir, workers
        self._tell = listen
        self._owner = {spec.identity: job for job in jobs for spec in job.specs}
        self.summary = Summary()

    def conduct(self, *, fresh: bool = False) -> Summary:
        """Train, then attack.

        Raises:
            HarnessError: a plugin, a data set, or weights that cannot be used. A training that fails is not raised: it
                is recorded, and told in the summary.
        """
        plan = make_plan(self.jobs, self.store, fresh=fresh)
        for job in self.jobs:
            self.store.see_protocol(job.protocol_record(), job.protocol.training_document)
        records = {gap.spec.identity: self._open_run(gap) for gap in plan.runs}
        self.summary.run_ids = [record.id for record in records.values()]
        for record in records.values():
            if record.status == "failed":
                self.summary.failures[record.id] = f"{record.failure} (before; --fresh starts it over)"
        for gap in plan.refused:
            self._refuse(records[gap.spec.identity], gap)
        items = len(plan.to_train) + plan.examinations + sum(len(gap.blocks) for gap in plan.evaluations)
        with executor_for(items, self.workers, self.jobs[0].device) as executor:
            self._train([self._train_work(gap, records[gap.spec.identity]) for gap in plan.to_train], executor)
            self._evaluate([record.id for record in records.values()], executor)
        return self.summary

    def _open_run(self, gap: RunGap) -> RunRecord:
        job = self._owner[gap.spec.identity]
        return self.store.start_run(
            gap.spec,
            job.dataset_record(),
            method_departures=job.method.departures(),
            network_departures=job.network.departures(),
            parameters=job.parameters,
            provenance=provenance(device_label(job.device), training_threads(job))
            | ({"sources": job.sources} if job.sources else {}),
            attempt=gap.attempt,
        )

    # ---- training

    def _train_work(self, gap: RunGap, record: RunRecord) -> TrainWork:
        job = self._owner[gap.spec.identity]
        return TrainWork(
            spec=gap.spec,
            run_id=record.id,
            place=job.place,
            dataset_fingerprint=job.dataset.fingerprint,
            folder=self.runs_dir / record.folder,
            device=job.device,
            threads=training_threads(job),
            plugins=job.plugins,
        )

    def _train(self, works: Sequence[TrainWork], executor: Executor) -> None:
        started = time.perf_counter()
        # large networks take all cores each, so they come one after the other; small ones side by side
        together = [work for work in works if work.threads == 1]
        groups: list[list[TrainWork]] = [together, *([work] for work in works if work.threads > 1)]
        for outcome in (outcome for group in groups for outcome in executor.run(group, self._hear_training)):
            if isinstance(outcome.error, (TrainingFailed, PluginFault)):
                self._fail(outcome.work.run_id, str(outcome.error))
            elif outcome.error is not None:
                raise outcome.error
            else:
                self.summary.trained += 1
                self.store.end_run(outcome.work.run_id)
        self.summary.training_s = time.perf_counter() - started

    def _refuse(self, record: RunRecord, gap: RunGap) -> None:
        """Record what cannot be trained, with the plugin's traceback in the run's log."""
        with logging_to(self.runs_dir / record.folder / LOG_FILE, self._tell):
            cause = gap.refusal.__cause__ if gap.refusal else None
            logging.getLogger("harness.plugins").error("%s", gap.refusal, exc_info=cause)
        self._fail(record.id, str(gap.refusal))

    def _fail(self, run_id: int, reason: str) -> None:
        log = self.runs_dir / self.store.run(run_id).folder / LOG_FILE
        self.summary.failures[run_id] = f"{reason} (log: {log})"
        self.store.end_run(run_id, failure=reason)

    def _hear_training(self, event: Event) -> None:
        if isinstance(event, EpochDone):
            self.store.add_epoch(event.run_id, event.record)
        elif isinstance(event, CheckpointDone):
            self.store.add_checkpoint(event.run_id, event.name, event.epoch, event.sha256)
        self._tell(event)

    # ---- evaluation

    def _evaluate(self, run_ids: Sequence[int], executor: Executor) -> None:
        attacking = Attacking(self.store, self._tell, self.summary)
        for record in (self.store.run(run_id) for run_id in run_ids):
            if record.status == "done":
                job = self._owner[record.identity]
                (spec,) = (spec for spec in job.specs if spec.identity == record.identity)
                folder = self.runs_dir / record.folder
                for name in job.protocol.evaluation.checkpoints:
                    checkpoint = record.checkpoint(name)
                    if checkpoint is not None:
                        file = weights_file(folder, name)
                        weights = RunWeights(
                            label=spec.label, checkpoint=name, sha256=checkpoint.sha256, spec=spec, file=file
                        )
                        attacking.add(job, weights, checkpoint.id, folder)
        attacking.check_weights()
        attacking.attack(executor)
