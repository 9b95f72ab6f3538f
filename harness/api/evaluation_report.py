"""The report of ``harness.evaluate``: figures, intervals, findings, and the verdict on every image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.api import columns
from harness.api.evaluating import Evaluated
from harness.api.running import times_of
from harness.api.table import Table
from harness.leaderboard.columns import WORST_CASE
from harness.planning.evaluate_job import EvaluateJob
from harness.planning.report import ModelReport, evaluations_of, report_document
from harness.plugin.ball import radius_text
from harness.store.store import Store

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class EvaluationReport:
    """One model under attack.

    Attributes:
        model, dataset: their names.
        epsilon, norm: of the attacks' ball, on the [0, 1] pixel scale.
        examples: how many images were attacked; ``images`` says in words which.
        metrics: the accuracy under each attack, and in the worst case, with Wilson's 95 % intervals.
        findings: of the checks of rigour; empty without checks.
        positions: ``(examples,)`` int64: the place of each image in ``x``, or among the data set's test images; of a
            folder of which ``limit`` images were read, among these.
        labels: ``(examples,)`` int64.
        verdicts: attack -> ``(seeds, examples)`` bool: whether the model is right on the image under the attack.
        margins: attack -> ``(seeds, examples)`` float32 in [-1, 1]: p_y - max over i != y of p_i at the adversarial
            image, to three digits.
        times_s: wall seconds of each attack, of the checks, and of the rest.
        notes: remarks for the user: on the data set and on how the model is read; which figures come from the store.
        document: the report in JSON types, as ``harness evaluate --json`` prints it.
    """

    model: str
    dataset: str
    epsilon: float
    norm: str
    examples: int
    images: str
    metrics: Table
    findings: Table
    positions: Array = field(repr=False)
    labels: Array = field(repr=False)
    verdicts: Mapping[str, Array] = field(repr=False)
    margins: Mapping[str, Array] = field(repr=False)
    times_s: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def accuracy_percent(self) -> dict[str, float]:
        """Attack -> the median accuracy over attack seeds; ``worst_case`` -> right under every attack and seed."""
        return {row["attack"]: row["median_percent"] for row in self.metrics}

    @property
    def robust(self) -> Array:
        """``(examples,)`` bool: right under every attack with every seed."""
        import numpy as np

        robust: Array = np.logical_and.reduce([rows.all(0) for rows in self.verdicts.values()])
        return robust

    @property
    def flags(self) -> dict[str, str]:
        """Check -> its reason, of the findings that warn that a robust accuracy may be too high."""
        return {row["check"]: row["reason"] for row in self.findings if row["status"] == "flagged"}

    def __repr__(self) -> str:
        flags = [f"flagged {check}: {reason}" for check, reason in self.flags.items()]
        head = f"{self.model} on {self.dataset}, {self.images}, epsilon {radius_text(self.epsilon)} ({self.norm})"
        return "\n".join([head, repr(self.metrics), *flags, *self.notes])

    def _repr_html_(self) -> str:
        return self.metrics._repr_html_()


def report_of(job: EvaluateJob, done: Evaluated, store: Store, notes: list[str]) -> EvaluationReport:
    """The report of a target with one checkpoint.

    Args:
        notes: on the data set and the model.
    """
    import numpy as np

    ((name, (one,)),) = done.reports.items()
    assessment, checkpoint = job.assessment, done.checkpoints[name]
    places = assessment.dataset.places(assessment.images)
    held = {attack: es for attack, es in evaluations_of(checkpoint, assessment).items() if es}
    verdicts = store.verdicts_of([e.id for es in held.values() for e in es])
    title = f"{one.label} under attack"
    return EvaluationReport(
        model=one.label,
        dataset=assessment.dataset.name,
        epsilon=one.epsilon,
        norm=one.norm,
        examples=one.examples,
        images=one.images,
        metrics=Table.of_rows(title, columns.METRICS, list(_metrics(one))),
        findings=Table.of_rows("checks of rigour", columns.CHECKED, [vars(found) for found in one.findings]),
        positions=places.numpy(),
        labels=assessment.dataset.test.labels[places].cpu().numpy(),
        verdicts={
            attack: np.stack([np.frombuffer(verdicts[e.id], np.uint8).astype(bool) for e in es])
            for attack, es in held.items()
        },
        margins={attack: np.array([store.margins(e.id) for e in es], np.float32) for attack, es in held.items()},
        times_s=times_of(done.summary, done.total_s),
        notes=(*notes, *filter(None, (done.origin, done.repeated))),
        document=report_document(one),
    )


def _metrics(one: ModelReport) -> Iterator[dict[str, Any]]:
    for result in one.results:
        yield {
            "attack": result.attack,
            "median_percent": result.figure.median,
            "std_percent": result.figure.std,
            "n": result.figure.n,
            "wilson_low_percent": result.interval.low,
            "wilson_high_percent": result.interval.high,
            "settings": result.settings,
        }
    if one.worst_case is not None and one.worst_case_interval is not None:
        yield {
            "attack": WORST_CASE,
            "median_percent": one.worst_case,
            "std_percent": None,
            "n": None,
            "wilson_low_percent": one.worst_case_interval.low,
            "wilson_high_percent": one.worst_case_interval.high,
            "settings": {},
        }
