"""Does what ``harness evaluate`` asks for and the store lacks: attacks a target's models, and keeps every verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from harness.errors import normal
from harness.events import Report
from harness.execution.attacked import Attacked, usable
from harness.execution.attacking import Attacking
from harness.execution.claims import Claims
from harness.execution.conduct import working_in
from harness.execution.course import Course
from harness.execution.executors.placement import Placement
from harness.execution.loaded import datasets_kept
from harness.execution.owners import owner_name, radius_of, target_opened
from harness.execution.plan import Plan
from harness.execution.summary import Summary
from harness.execution.threads import threads_of_models
from harness.planning.cost import Prices
from harness.planning.evaluate_job import EvaluateJob
from harness.planning.missing import known_checkpoints, known_model, missing_of_target
from harness.registry.catalogue import discover
from harness.runtime.provenance import provenance
from harness.store.folders import model_folder, run_folder
from harness.store.records import ModelRecord
from harness.store.store import Store
from harness.targets.target import Opened
from harness.trackers.outcomes import OwnerClosed


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
    prices = Prices(missing.stored)

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
        gaps = [model.gap for model in ready]
        of_models = threads_of_models(gaps, place.cores, threads)
        ready = [replace(model, threads=of_model) for model, of_model in zip(ready, of_models, strict=True)]
        attacking = Attacking(store, listen, summary, prices, claims, sum(gap.blocks for gap in gaps))
        Course(Plan(listen, prices), listen, summary, claims, attacking).perform([], ready, executor, executor)
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
