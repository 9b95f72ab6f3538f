"""What ``harness evaluate`` does, without options and without output: attacks a target, and gathers its reports."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.api.origin import origin, repeated
from harness.errors import GivenUp
from harness.events import Report
from harness.execution.conduct_target import conduct_evaluation
from harness.execution.executors.placement import Placement
from harness.execution.summary import Summary
from harness.planning.evaluate_job import EvaluateJob
from harness.planning.missing import known_checkpoints
from harness.planning.report import ModelReport, evaluations_of, report
from harness.store.records import CheckpointRecord
from harness.store.store import Store


@dataclass(frozen=True)
class Evaluated:
    """What was done, and a report for each checkpoint and each radius of a sweep.

    Attributes:
        checkpoints: checkpoint -> its record, as the store has it now.
        reports: checkpoint -> its reports, one for each radius.
        origin: which figures come from the store; None if all were measured now.
        repeated: whether repeated attacks gave the same verdicts; None if none was repeated.
    """

    checkpoints: dict[str, CheckpointRecord]
    reports: dict[str, list[ModelReport]]
    summary: Summary
    origin: str | None
    repeated: str | None
    total_s: float


def evaluate_target(
    job: EvaluateJob,
    store: Store,
    runs_dir: Path,
    listen: Report,
    place: Placement,
    *,
    entered: Callable[[], None] = lambda: None,
    threads: int | None = None,
    started: float | None = None,
    in_part: bool = False,
) -> Evaluated:
    """Attack what the store lacks, and sum up what it then has.

    Args:
        entered, threads: see ``conduct_evaluation``.
        started: when the work began (``time.perf_counter``); None: now.
        in_part: whether to sum up the rest where a part of the work was given up; the summary names that part.
    Raises:
        GivenUp: a part of the work was given up, and ``in_part`` is False.
        HarnessError: as ``conduct_evaluation``.
    """
    started = time.perf_counter() if started is None else started
    summary, model = conduct_evaluation(job, store, runs_dir, listen, place, entered, threads)
    if summary.undone and not in_part:
        raise GivenUp("; ".join(summary.shortfalls()))
    known, shown = known_checkpoints(job, model, store), []
    run = f"run {job.run.id}" if job.run is not None else ""
    reports: dict[str, list[ModelReport]] = {}
    for weights in job.weights:
        checkpoint = known[weights.checkpoint]
        verdicts = store.verdicts_of([e.id for e in checkpoint.evaluations if e.complete])
        label = model.name if model is not None else f"{run}, {weights.label}"
        assessments = job.sweep or (job.assessment,)
        shown += [e for each in assessments for held in evaluations_of(checkpoint, each).values() for e in held]
        reports[weights.checkpoint] = [report(label, checkpoint, each, verdicts) for each in assessments]
    again = [e for e in shown if e.id in summary.attacked]
    return Evaluated(
        checkpoints={name: known[name] for name in reports},
        reports=reports,
        summary=summary,
        origin=origin(shown, summary.attacked),
        repeated=repeated(again, store),
        total_s=time.perf_counter() - started,
    )
