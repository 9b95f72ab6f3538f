"""Does the missing work: trains, attacks, and keeps every result in the store.

This process is the only one that writes to the store; workers report to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from harness.errors import HarnessError, normal
from harness.events import Planned, Report, training_key
from harness.execution.attacking import Attacked, Attacking, usable
from harness.execution.claims import Claims
from harness.execution.executors.placement import Placement
from harness.execution.executors.together import trainers
from harness.execution.loaded import datasets_kept
from harness.execution.owners import owner_name, radius_of, run_opened, target_opened
from harness.execution.plan import later_phase, training_phases
from harness.execution.summary import Summary
from harness.execution.trainings import Trainings
from harness.files import in_use
from harness.planning.cost import Prices
from harness.planning.evaluate_job import EvaluateJob
from harness.planning.missing import Missing, RunGap, known_checkpoints, known_model, missing_of_target
from harness.planning.run_job import RunJob
from harness.registry.catalogue import discover
from harness.runtime.provenance import LOOKED_AT, provenance
from harness.store.folders import model_folder, run_folder
from harness.store.opening import WantedRun
from harness.store.records import ModelRecord, RunRecord
from harness.store.store import Store
from harness.targets.model import RunWeights
from harness.targets.target import Opened
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
        """Train, then attack.

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
            attacked = [(gap.spec.label, m) for gap, r in opened if r.status != "failed" for m in gap.models if m.items]
            later = later_phase(attacked, self._prices, executor.workers)
            self._tell(Planned((*training_phases(to_train, self._prices, trainer), later)))
            trainings = Trainings(self.store, self.runs_dir, self._tell, self.summary, claims)
            trainings.refuse((gap, record) for gap, record in opened if record.status == "running")
            trainings.train(to_train, trainer)
            new = [(gap, record.id) for gap, record in opened if not gap.trained]
            records = self.store.runs_numbered([number for _, number in new])
            done = [(gap, records[number]) for gap, number in new if records[number].status == "done"]
            ready += (model for gap, record in done for model in self._models(gap, record))
            attacking = Attacking(self.store, self._tell, self.summary, self._prices, claims)
            attacking.attack(ready, executor, self.place.cores)
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

    def _models(self, gap: RunGap, record: RunRecord) -> Iterator[Attacked]:
        """The checkpoints of a trained network."""
        folder = run_folder(self.runs_dir, record)
        for model in gap.models:
            checkpoint = record.checkpoint(model.checkpoint)
            if checkpoint is not None:
                weights = RunWeights(
                    label=gap.spec.label,
                    checkpoint=checkpoint.name,
                    sha256=checkpoint.sha256,
                    spec=gap.spec,
                    file=weights_file(folder, checkpoint.name),
                )
                yield Attacked(model, weights, checkpoint.id, folder, run_owner(record.id))


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


def conduct_evaluation(
    job: EvaluateJob,
    store: Store,
    runs_dir: Path,
    listen: Report,
    place: Placement,
    entered: Callable[[], None] = lambda: None,
    threads: int | None = None,
) -> tuple[Summary, ModelRecord | None]:
    """Do what ``harness evaluate`` asks for: attack a target's models where the store lacks verdicts.

    Args:
        place: where the items are performed.
        entered: called when the model is in the store, before the attacks.
        threads: CPU threads of each item of work; None: one, and several for the last items.
    Returns:
        What was done; and the model, if it came from elsewhere.
    Raises:
        HarnessError: the name is taken, or a plugin or weights cannot be used. What was done before is kept.
    """
    model = _enter(job, job.opened, store) if job.opened is not None else None
    known, weights = known_checkpoints(job, model, store), {weights.checkpoint: weights for weights in job.weights}
    missing, summary = missing_of_target(job, known, store), Summary()

    def attacked() -> Iterator[Attacked]:
        for gap in missing.targets:
            own = weights[gap.checkpoint]
            folder = run_folder(runs_dir, job.run) if job.run else model_folder(runs_dir, own.sha256)
            owner = owner_name(job, own, model, radius_of(job, gap.assessment))
            yield Attacked(gap, own, known[gap.checkpoint].id, folder, owner)

    ready = usable(attacked(), summary)
    entered()
    store.see_protocol(job.assessment.protocol_record(), job.assessment.protocol.training_document)
    at_work = [model.folder for model in ready if model.gap.items]
    owners = {
        at.owner: target_opened(job, at.weights, model, at.gap.assessment, radius_of(job, at.gap.assessment))
        for at in ready
        if at.gap.items
    }
    with (
        working_in(at_work),
        datasets_kept([(job.assessment.place, job.assessment.dataset)]),
        Claims(store, listen) as claims,
        place.executor(missing.items) as executor,
    ):
        for opened in owners.values():
            listen(opened)
        Attacking(store, listen, summary, Prices(missing.stored), claims).attack(ready, executor, place.cores, threads)
        for owner in owners:
            listen(OwnerClosed(owner))
    return summary, model


def _enter(job: EvaluateJob, opened: Opened, store: Store) -> ModelRecord:
    """Put a model from elsewhere into the store. This process opened it, on the CPU."""
    found = discover("networks", job.assessment.plugins).found.get(opened.network)
    dataset = job.assessment.dataset_record()
    return store.see_model(
        normal(job.name or opened.target.label),
        dataset,
        sha256=opened.sha256,
        network=opened.network,
        network_settings=opened.network_settings,
        network_departures=found.cls.from_mapping(opened.network_settings).departures() if found is not None else {},
        parameters=opened.parameters,
        provenance=opened.provenance | {"opened_with": provenance("cpu", torch.get_num_threads())},
        rename=job.name is not None,  # without --name a known model keeps its name
        function=known_model(opened, dataset.fingerprint, store)[0],
        code=opened.target.code(),
        probe=opened.probe,
    )
