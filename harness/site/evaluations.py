"""What a checkpoint's page shows of its evaluations: figures, seeds, classes, radii, and the findings of the checks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.comparison.labels import Labels
from harness.errors import legible
from harness.leaderboard.cells import interval_text
from harness.leaderboard.radii import radius_curves
from harness.plugin.ball import radius_text
from harness.site.packed import page_json
from harness.statistics.figures import plus_minus, summarise, wilson
from harness.statistics.paired import robust_under_every
from harness.store.records import CheckpointRecord, EvaluationRecord, ExaminationRecord
from harness.store.standing import Evaluated

Document = dict[str, Any]
Verdicts = Mapping[int, bytes]

NUMBER = re.compile(r"(\d+(?:\.\d+)?)")


def settings_text(values: Mapping[str, Any]) -> str:
    """``steps=20 epsilon=8/255``: settings in one line."""
    return " ".join(f"{key}={_value(key, value)}" for key, value in values.items())


def _value(key: str, value: Any) -> str:
    if isinstance(value, float):
        return radius_text(value) if key == "epsilon" else f"{value:.6g}"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def checkpoint_document(
    checkpoint: CheckpointRecord, labels: Labels | None, verdicts: Verdicts, order: Sequence[str], checks: Checks
) -> Document:
    """A checkpoint with its evaluations and the findings about it.

    Args:
        labels: of the test images; None where they are not known here.
        verdicts: of every complete evaluation.
        order: attacks in the order in which to show them.
        checks: takes what the findings of checkpoints share.
    """
    return {
        "name": legible(checkpoint.name),
        "epoch": checkpoint.epoch,
        "sha256": checkpoint.sha256[:12],
        "attacks": [_attack(group, labels, verdicts) for group in _groups(checkpoint.evaluations, order)],
        "radii": list(radius_documents(checkpoint.evaluations)),
        "classes": None if labels is None else list(labels.names),
        "examinations": [_examination(e, checks) for e in checkpoint.examinations],
    }


def _examination(examination: ExaminationRecord, checks: Checks) -> Document:
    """An examination; what its findings share with those of other examinations is kept once, in ``checks``."""
    split = [(f, NUMBER.split(f.reason)) for f in examination.findings]
    alike = [
        [f.check, f.status, f.mark, parts[::2], None if f.threshold is None else f"{f.threshold:g}"]
        for f, parts in split
    ]
    return {
        "about": f"of the {examination.settings['kind']}, {settings_text(_where(examination.settings))}",
        "kind": checks.place(alike),
        "numbers": [number for _, parts in split for number in parts[1::2]],
    }


class Checks:
    """Lists of findings without the numbers in their reasons, each kept once: most runs have the same."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, findings: list[list[Any]]) -> int:
        """The place of a list of findings; it is added if it is new."""
        return self._places.setdefault(page_json(findings), len(self._places))

    @property
    def texts(self) -> list[str]:
        """Every list as JSON, in the order of the places."""
        return list(self._places)


def _where(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: settings[key] for key in ("epsilon", "norm", "examples") if key in settings}


def _groups(evaluations: Sequence[EvaluationRecord], order: Sequence[str]) -> list[list[EvaluationRecord]]:
    """Evaluations that differ in the attack seed alone, in the order of the seeds; attacks in the order given."""
    places = {attack: place for place, attack in enumerate(order)}
    found: dict[tuple[object, ...], list[EvaluationRecord]] = {}
    for e in evaluations:
        found.setdefault((e.attack, e.settings_sha256, e.images), []).append(e)
    groups = [sorted(group, key=lambda e: e.seed) for group in found.values()]
    return sorted(groups, key=lambda group: places.get(group[0].attack, len(places)))


def _attack(group: Sequence[EvaluationRecord], labels: Labels | None, verdicts: Verdicts) -> Document:
    one = group[0]
    complete = [e for e in group if e.complete]
    figure = summarise([[e.percent for e in complete]])
    return {
        "attack": legible(one.attack),
        "settings": settings_text(one.settings),
        "images": one.examples,
        "sample": one.sample,
        "figure": "-" if figure is None else plus_minus(figure.median, figure.std),
        "interval": "" if figure is None else interval_text(wilson(figure.median, one.examples)),
        "seeds": [e.seed for e in group],
        "correct": [e.correct for e in group],
        "done": [e.done for e in group],
        "seconds": [round(e.duration_s, 1) for e in group],
        "warnings": list(dict.fromkeys(text for e in group for text in e.warnings)),
        "classes": None if labels is None or not complete else by_class(complete, labels, verdicts),
    }


def by_class(complete: Sequence[EvaluationRecord], labels: Labels, verdicts: Verdicts) -> tuple[list[int], list[int]]:
    """For each class, the number of images that are right under every attack seed; and of all images."""
    robust = robust_under_every([verdicts[e.id] for e in complete])
    correct, images = [0] * len(labels.names), [0] * len(labels.names)
    for verdict, place in zip(robust, complete[0].images.places(labels.labels), strict=True):
        correct[labels.labels[place]] += verdict
        images[labels.labels[place]] += 1
    return correct, images


def radius_documents(evaluations: Sequence[EvaluationRecord]) -> Iterator[Document]:
    """Robust accuracy against epsilon, for each attack that was made at several radii."""
    for curve in radius_curves(evaluations):
        yield {
            "attack": legible(curve.attack),
            "norm": legible(curve.norm),
            "images": curve.images.count,
            "points": [_point(radius, group) for radius, group in curve.points.items()],
        }


def _point(radius: float, group: Sequence[Evaluated]) -> list[Any]:
    """Radius, its text, the median over attack seeds, and its interval over test images."""
    figure = summarise([[e.percent for e in group]])
    assert figure is not None
    over = wilson(figure.median, group[0].examples)
    return [radius, radius_text(radius), figure.median, over.low, over.high, len(group)]
