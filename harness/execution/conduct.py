"""Does what ``harness run`` asks for and the store lacks: trains, attacks, and keeps every result in the store.

This process is the only one that writes to the store; workers report to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.events import Report, training_key
from harness.execution.attacked import Attacked, usable
from harness.execution.attacking import Attacking
from harness.execution.claims import Claims
from harness.execution.course import Course, done_alone
from harness.execution.executors.placement import Placement
from harness.execution.executors.together import trainers
from harness.execution.loaded import datasets_kept
from harness.execution.owners import run_opened
from harness.execution.plan import Plan
from harness.execution.summary import Summary
from harness.execution.threads import threads_of_models
from harness.execution.trainings import Trainings
from harness.files import in_use
from harness.planning.cost import Prices
from harness.planning.missing import Missing, RunGap
from harness.planning.run_job import RunJob
from harness.runtime.provenance import LOOKED_AT
from harness.store.folders import run_folder
from harness.store.opening import WantedRun
from harness.store.records import RunRecord
from harness.store.store import Store
from harness.targets.model import RunWeights
from harness.trackers.outcomes import OwnerClosed, run_owner
from harness.training.weights_place import weights_file


@contextlib.contextmanager
def working_in(folders: Sequence[Path]) -> Iterator[None]:
    """Mark the folders of runs and models as in use, so that `harness rm` refuses to remove these."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with in_use(folders):
            yield
    except BlockingIOError as error:
        raise HarnessError(f"{error.filename} is being removed by another command; run this one again") from None


class Conductor:
    """Does the work that ``harness run`` asks for and the store lacks.

    Another command may have done part of it meanwhile: its trained networks are not trained again, and its verdicts
    are kept.

    Args:
        missing: the work, all planned on one device.
        listen: receives every event, once the store has it.
        place: where the items are performed.
    """

    def __init__(self, missing: Missing, store: Store, runs_dir: Path, listen: Report, place: Placement) -> None:
        self.missing, self.store, self.runs_dir, self.place = missing, store, runs_dir, place
        self._tell, self._prices = listen, Prices(missing.stored)
        self.summary = Summary()

    def conduct(self) -> Summary:
        """Train, and attack each network as soon as it is trained.

        Raises:
            HarnessError: a plugin, a data set, or weights cannot be used. A failed training raises nothing: it is
                recorded, and the summary names it.
        """
        runs = self.missing.runs
        together = self.place.together(runs[0].job.devices)
        there = [(gap, gap.record) for gap in runs if gap.record is not None and gap.trained]
        ready = usable((model for gap, record in there for model in self._models(gap, record)), self.summary)
        jobs = list({id(gap.job): gap.job for gap in runs}.values())
        for job in jobs:
            self.store.see_protocol(job.protocol_record(), job.protocol.training_document)
        opened = list(zip(runs, self._open_runs(runs), strict=True))
        self.summary.run_ids = [record.id for _, record in opened]
        for _, record in opened:
            if record.status == "failed":
                self.summary.failures[record.id] = f"{record.failure} (before; --fresh starts it over)"
        for gap, record in opened:
            if not gap.trained and record.status == "done":  # another command has trained it meanwhile
                ready += self._models(gap, record)
        to_train = [(gap, record) for gap, record in opened if gap.passes is not None and record.status == "running"]
        at_work = [run_folder(self.runs_dir, record) for gap, record in opened if gap.items]
        with (
            working_in(at_work),
            datasets_kept((job.place, job.dataset) for job in jobs),
            Claims(self.store, self._tell) as claims,
            self.place.executor(self.missing.items) as executor,
            trainers(together, executor) as trainer,
        ):
            for gap, record in opened:
                if gap.items and record.status != "failed":
                    self._tell(run_opened(record, gap))
            trainings = Trainings(self.store, self.runs_dir, self._tell, self.summary, claims)
            trainings.refuse((gap, record) for gap, record in opened if record.status == "running")
            works = trainings.works(to_train)
            plan, first = Plan(self._tell, self._prices), {work.run_id for work in done_alone(works, trainer, executor)}
            for gap, record in to_train:
                plan.train(gap, record, alone=record.id in first)
            later = {record.id: gap for gap, record in to_train}
            gaps = [*(model.gap for model in ready), *(model for gap in later.values() for model in gap.models)]
            threads = iter(threads_of_models(gaps, self.place.cores))
            ready = [replace(model, threads=next(threads)) for model in ready]
            of_later = {number: [next(threads) for _ in gap.models] for number, gap in later.items()}
            blocks = sum(gap.blocks for gap in gaps)
            attacking = Attacking(self.store, self._tell, self.summary, self._prices, claims, blocks)

            def trained(run_id: int) -> list[Attacked]:
                record, gap = self.store.run(run_id), later[run_id]
                models = list(self._models(gap, record, of_later[run_id])) if record.status == "done" else []
                there = {id(model.gap) for model in models}
                attacking.leave(model for model in gap.models if id(model) not in there)
                return models

            course = Course(plan, self._tell, self.summary, claims, attacking, trainings, trained)
            course.perform(works, ready, trainer, executor)
            for gap, record in opened:
                lost = training_key(record.id) in self.summary.undone
                if gap.items and not lost and record.id not in self.summary.failures:
                    self._tell(OwnerClosed(run_owner(record.id)))
        return self.summary

    def _open_runs(self, gaps: Sequence[RunGap]) -> list[RunRecord]:
        """The record of each gap's run; runs that the store lacks are added to it together."""
        ended = {n: gap.record for n, gap in enumerate(gaps) if gap.record and gap.record.status != "running"}
        known = {id(gap.job): known_of(gap.job) for gap in gaps}
        wanted = [
            WantedRun(spec=gap.spec, attempt=gap.attempt, **known[id(gap.job)])
            for n, gap in enumerate(gaps)
            if n not in ended
        ]
        started = iter(self.store.start_runs(wanted))
        return [ended[n] if n in ended else next(started) for n in range(len(gaps))]

    def _models(
        self, gap: RunGap, record: RunRecord, threads: Sequence[tuple[int, ...]] | None = None
    ) -> Iterator[Attacked]:
        """The checkpoints of a trained network; and the threads of each one's items, if they are fixed."""
        folder = run_folder(self.runs_dir, record)
        for model, of_model in zip(gap.models, threads or [()] * len(gap.models), strict=True):
            checkpoint = record.checkpoint(model.checkpoint)
            if checkpoint is not None:
                weights = RunWeights(
                    label=gap.spec.label,
                    checkpoint=checkpoint.name,
                    sha256=checkpoint.sha256,
                    spec=gap.spec,
                    file=weights_file(folder, checkpoint.name),
                )
                yield Attacked(model, weights, checkpoint.id, folder, run_owner(record.id), of_model)


def known_of(job: RunJob) -> dict[str, Any]:
    """What the runs of a job have in common, beside their specs."""
    return {
        "dataset": job.dataset_record(),
        "method_departures": job.method.departures(),
        "network_departures": job.network.departures(),
        "parameters": job.parameters,
        "provenance": ({"sources": job.sources} if job.sources else {})
        | ({LOOKED_AT: dict(job.looked_at)} if job.looked_at else {}),
    }
