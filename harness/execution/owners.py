"""What a command tells about a run, or a model from elsewhere, before it works on it: plain data, without secrets."""

from __future__ import annotations

from typing import Any

from harness.planning.assessment import Assessment
from harness.planning.evaluate_job import EvaluateJob
from harness.planning.missing import RunGap
from harness.plugin.ball import radius_text
from harness.store.records import ModelRecord, RunRecord
from harness.targets.model import Weights
from harness.trackers.outcomes import OwnerOpened, run_owner


def run_opened(record: RunRecord, gap: RunGap) -> OwnerOpened:
    """A run that a command trains or attacks."""
    return OwnerOpened(
        owner=run_owner(record.id),
        label=gap.spec.label,
        group=group_of(record),
        settings=_settings_of_run(record) | evaluation_settings(gap.job),
        tags=record.tags,
    )


def target_opened(
    job: EvaluateJob, weights: Weights, model: ModelRecord | None, assessment: Assessment, radius: str
) -> OwnerOpened:
    """A target of ``harness evaluate``.

    Args:
        model: the store's record of a model from elsewhere; None: the target is a run.
        radius: as ``radius_of`` gives it.
    """
    record = job.run if model is None else model
    settings = evaluation_settings(assessment)
    if isinstance(record, RunRecord):
        settings = _settings_of_run(record) | settings
    elif record is not None:
        settings = {"model": record.name, "network": record.network, "sha256": weights.sha256, **settings}
    return OwnerOpened(
        owner=owner_name(job, weights, model, radius),
        label=f"{weights.label} evaluated{radius}",
        group=group_of(record) if isinstance(record, RunRecord) else weights.label,
        settings=settings,
        tags=record.tags if record is not None else (),
    )


def owner_name(job: EvaluateJob, weights: Weights, model: ModelRecord | None, radius: str) -> str:
    """What events call a target of ``harness evaluate``."""
    return (run_owner(job.run.id) if job.run is not None else model.title if model else weights.label) + radius


def radius_of(job: EvaluateJob, assessment: Assessment) -> str:
    """Where several radii are swept, which one, such as `` at 4/255``: their figures must not share a name."""
    return f" at {radius_text(assessment.threat.epsilon)}" if job.sweep else ""


def group_of(record: RunRecord) -> str:
    """The label of a run without its training seed."""
    return record.spec.label.rpartition("-")[0]


def evaluation_settings(assessment: Assessment) -> dict[str, Any]:
    """How models are attacked."""
    return {
        "protocol": {"name": assessment.protocol.name, "fingerprint": assessment.protocol.fingerprint},
        "evaluation": {
            "images": assessment.images.count,
            "sample": assessment.images.sample,
            "seeds": assessment.seeds,
            "attacks": {name: assessment.attack_settings(name) for name in assessment.chosen},
        },
    }


def _settings_of_run(record: RunRecord) -> dict[str, Any]:
    numbers = {"run": record.id, "attempt": record.attempt, "parameters": record.parameters}
    return {**numbers, "identity": record.identity, **record.spec.document()}
