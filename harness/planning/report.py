"""A report on one model: the accuracy and its interval under each attack, the worst case, and the flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.events import Finding
from harness.planning.assessment import Assessment
from harness.statistics.figures import LEVEL, Figure, Interval, summarise, wilson
from harness.statistics.paired import robust_under_every
from harness.store.records import CheckpointRecord, EvaluationRecord


@dataclass(frozen=True)
class Result:
    """The accuracy under one attack, over attack seeds; and Wilson's interval of the median, over test images."""

    attack: str
    settings: dict[str, Any]  # only those that differ from the attack's defaults
    figure: Figure
    interval: Interval


@dataclass(frozen=True)
class ModelReport:
    """One model under the attacks that were asked for.

    Attributes:
        images: which test images, in words.
        worst_case: the percentage of images that the model gets right under all attacks with all seeds that were asked
            for; None if an attack is not complete. It can only fall when attacks or seeds are added.
        findings: of the checks of rigour, in their order.
    """

    label: str
    checkpoint: str
    epsilon: float
    norm: str
    images: str
    examples: int
    results: tuple[Result, ...]
    worst_case: float | None
    worst_case_interval: Interval | None
    findings: tuple[Finding, ...] = ()


def report(
    label: str, checkpoint: CheckpointRecord, assessment: Assessment, verdicts: Mapping[int, bytes]
) -> ModelReport:
    """Sum up what the store has for a checkpoint under an assessment.

    Args:
        verdicts: for the number of each complete evaluation, one byte per image.
    """
    held = evaluations_of(checkpoint, assessment)
    results = []
    for attack, evaluations in held.items():
        figure = summarise([[e.percent for e in evaluations]])
        if figure is not None:
            departures = assessment.attacks[attack].departures()
            results.append(Result(attack, departures, figure, wilson(figure.median, assessment.examples)))
    worst = None
    if held and all(held.values()):
        robust = robust_under_every([verdicts[e.id] for evaluations in held.values() for e in evaluations])
        worst = 100.0 * robust.count(1) / len(robust)
    return ModelReport(
        label=label,
        checkpoint=checkpoint.name,
        epsilon=assessment.threat.epsilon,
        norm=assessment.threat.norm,
        images=assessment.images.described(assessment.dataset.test_total),
        examples=assessment.examples,
        results=tuple(results),
        worst_case=worst,
        worst_case_interval=None if worst is None else wilson(worst, assessment.examples),
        findings=checkpoint.findings(assessment.scope),
    )


def evaluations_of(checkpoint: CheckpointRecord, assessment: Assessment) -> dict[str, list[EvaluationRecord]]:
    """The complete evaluations behind a report, by attack: with its settings, and the seeds that were asked for."""
    complete = [e for e in checkpoint.evaluations if e.complete and e.images == assessment.images]
    found = {}
    for attack in assessment.chosen:
        wanted, seeds = (attack, assessment.attack_digest(attack)), assessment.attack_seeds(attack)
        found[attack] = [e for e in complete if (e.attack, e.settings_sha256) == wanted and e.seed in seeds]
    return found


def report_document(report: ModelReport) -> dict[str, Any]:
    """The report in JSON types. Accuracies are percentages; each interval stands beside its figure."""
    return {
        "model": report.label,
        "checkpoint": report.checkpoint,
        "epsilon": report.epsilon,
        "norm": report.norm,
        "examples": report.examples,
        "images": report.images,
        "metrics": {
            result.attack: {
                "settings": result.settings,
                "median": result.figure.median,
                "std": result.figure.std,
                "n": result.figure.n,
                "wilson": _interval(result.interval),
            }
            for result in report.results
        },
        "worst_case": None
        if report.worst_case is None
        else {
            "percent": report.worst_case,
            "attacks": {result.attack: result.figure.n for result in report.results},
            "wilson": _interval(report.worst_case_interval),
        },
        "findings": [asdict(finding) for finding in report.findings],
    }


def _interval(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else {"low": interval.low, "high": interval.high, "level": LEVEL}
