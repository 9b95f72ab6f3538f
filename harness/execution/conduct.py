"""Conducts a plan: trains what is not trained, attacks what is not attacked, and keeps every outcome in the store.

This process is the only one that writes to the store; workers report to it.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.device import device_label
from harness.errors import TrainingFailed
from harness.events import BlockDone, CheckpointDone, EpochDone, EvaluationProgress, Event, Report
from harness.execution.executor import Executor, InProcess, Processes
from harness.execution.work import BlockWork, TrainWork, Work
from harness.job import Job
from harness.plan import Plan, RunGap, evaluation_gaps, make_plan
from harness.provenance import provenance
from harness.store.records import RunRecord
from harness.store.store import Store

LARGE_NETWORK = 1_000_000  # parameters; below it a second CPU thread costs more than it gives


@dataclass
class Summary:
    """What a command did, and where its time went.

    Attributes:
        failures: for each failed run its number and the reason.
        training_s, evaluation_s: wall time of the two parts.
        busy_s: for each attack the seconds that workers were busy with it, summed over workers.
    """

    run_ids: list[int] = field(default_factory=list)
    trained: int = 0
    blocks: int = 0
    failures: dict[int, str] = field(default_factory=dict)
    training_s: float = 0.0
    evaluation_s: float = 0.0
    busy_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def shares(self) -> dict[str, float]:
        """Wall seconds of the training and of each attack; the evaluation's are divided by what kept workers busy."""
        busy = sum(self.busy_s.values()) or 1.0
        return {"training": self.training_s} | {k: self.evaluation_s * v / busy for k, v in self.busy_s.items()}


def default_workers(job: Job) -> int:
    """One worker a core on the CPU; one on a CUDA device."""
    return (os.cpu_count() or 1) if job.device.type == "cpu" else 1


def training_threads(job: Job) -> int:
    """CPU threads of a training: decided by the network and the machine, not by what else there is to do."""
    return (os.cpu_count() or 1) if job.parameters >= LARGE_NETWORK and job.device.type == "cpu" else 1


class Conductor:
    """Does what jobs ask for and the store lacks.

    Args:
        jobs: on one device.
        listen: hears every event, after the store has it.
    """

    def __init__(self, jobs: Sequence[Job], store: Store, runs_dir: Path, listen: Report, workers: int) -> None:
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
        with self._executor(plan) as executor:
            self._train([self._train_work(gap, records[gap.spec.identity]) for gap in plan.to_train], executor)
            self._evaluate([record.id for record in records.values()], executor)
        return self.summary

    def _executor(self, plan: Plan) -> Executor:
        items = len(plan.to_train) + sum(len(gap.blocks) for gap in plan.evaluations)
        parallel = self.workers > 1 and items > 1 and self.jobs[0].device.type == "cpu"
        return Processes(self.workers) if parallel else InProcess()

    def _open_run(self, gap: RunGap) -> RunRecord:
        job = self._owner[gap.spec.identity]
        return self.store.start_run(
            gap.spec,
            job.dataset_record(),
            method_departures=job.method.departures(),
            network_departures=job.network.departures(),
            parameters=job.parameters,
            provenance=provenance(device_label(job.device), training_threads(job)),
            attempt=gap.attempt,
        )

    # ---- training

    def _train_work(self, gap: RunGap, record: RunRecord) -> TrainWork:
        job = self._owner[gap.spec.identity]
        return TrainWork(
            spec=gap.spec,
            run_id=record.id,
            place=job.place,
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
            if isinstance(outcome.error, TrainingFailed):
                self.summary.failures[outcome.work.run_id] = str(outcome.error)
                self.store.end_run(outcome.work.run_id, failure=str(outcome.error))
            elif outcome.error is not None:
                raise outcome.error
            else:
                self.summary.trained += 1
                self.store.end_run(outcome.work.run_id)
        self.summary.training_s = time.perf_counter() - started

    def _hear_training(self, event: Event) -> None:
        if isinstance(event, EpochDone):
            self.store.add_epoch(event.run_id, event.record)
        elif isinstance(event, CheckpointDone):
            self.store.add_checkpoint(event.run_id, event.name, event.epoch, event.sha256)
        self._tell(event)

    # ---- evaluation

    def _evaluate(self, run_ids: Sequence[int], executor: Executor) -> None:
        started = time.perf_counter()
        works: list[Work] = [work for run_id in run_ids for work in self._block_works(self.store.run(run_id))]
        by_id = {work.evaluation_id: work for work in works if isinstance(work, BlockWork)}

        def hear(event: Event) -> None:
            if not isinstance(event, BlockDone):
                return self._tell(event)
            self.store.add_block(event)
            work = by_id[event.evaluation_id]
            self.summary.busy_s[work.attack] += event.duration_s
            self.summary.blocks += 1
            left = (time.perf_counter() - started) / self.summary.blocks * (len(works) - self.summary.blocks)
            place = (work.spec.label, work.checkpoint, work.attack, work.seed)
            self._tell(EvaluationProgress(*place, self.summary.blocks, len(works), left))

        for outcome in executor.run(works, hear):
            if outcome.error is not None:
                raise outcome.error
        self.summary.evaluation_s = time.perf_counter() - started

    def _block_works(self, record: RunRecord) -> Iterator[BlockWork]:
        """The missing blocks of a trained network, each opened in the store first."""
        job = self._owner[record.identity]
        if record.status != "done":
            return
        (spec,) = (spec for spec in job.specs if spec.identity == record.identity)
        for gap in evaluation_gaps(job, spec, record):
            checkpoint = record.checkpoint(gap.checkpoint)
            if not gap.blocks or checkpoint is None:
                continue
            evaluation_id = self.store.open_evaluation(
                checkpoint.id,
                gap.attack,
                job.attack_settings(gap.attack),
                gap.seed,
                job.examples,
                provenance(device_label(job.device), threads=1),
            )
            for start, length in gap.blocks:
                yield BlockWork(
                    spec=spec,
                    run_id=record.id,
                    place=job.place,
                    folder=self.runs_dir / record.folder,
                    device=job.device,
                    threads=1,
                    plugins=job.plugins,
                    evaluation_id=evaluation_id,
                    checkpoint=gap.checkpoint,
                    sha256=checkpoint.sha256,
                    attack=gap.attack,
                    attack_settings=job.attacks[gap.attack].resolved(),
                    threat=job.threat,
                    seed=gap.seed,
                    start=start,
                    length=length,
                )
