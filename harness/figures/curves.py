"""Accuracy under attacks over the epochs of a training, from the records that the training made of test images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.figures.accuracies import accuracy_of
from harness.figures.marks import Marks, Value
from harness.figures.material import Material
from harness.figures.trainings import Siblings, command_of, trainings

if TYPE_CHECKING:
    from harness.store.records import Curve, RunRecord

ACCURACY, BEGINS = "accuracy", "weights begin"
EVERY_EPOCH = "--eval-every 1"
RECORD = f"{EVERY_EPOCH} --fresh"
WEIGHING = ("gairat", "gair-trades", "gair-fat", "mail", "mail-trades")  # instances, after their burn-in


def curve_marks(material: Material, usual: Sequence[str], heads: Mapping[str, str]) -> Marks:
    """The accuracy of each training under each attack after each recorded epoch, on test images.

    Args:
        usual: the trainings that are shown if the user chooses none.
        heads: attack -> the head of its panel, which speaks of the usual trainings; others have the attack's name.
    Raises:
        HarnessError: a run has no such record, or the records cannot be compared.
    """
    shown = trainings(material, usual, EVERY_EPOCH)
    recorded = {run.id: material.store.curves(run.id) for training in shown for run in training.runs}
    named = heads if not material.selection.methods else {attack: attack.upper() for attack in heads}
    return Marks.of(_rows(shown, recorded, named))


def _rows(
    shown: Sequence[Siblings], recorded: Mapping[int, Sequence[Curve]], heads: Mapping[str, str]
) -> Iterator[dict[str, Value]]:
    runs = [run for training in shown for run in training.runs]
    for attack, head in heads.items():
        curves = _alike(runs, recorded, attack)
        images = curves[runs[0].id].images
        for training in shown:
            own = {**training.columns(), "attack": attack, "panel": head, "images": images}
            for epoch, counts in _counts(training, [curves[run.id] for run in training.runs], attack):
                percents = [100 * count / images for count in counts]
                found = accuracy_of(percents, images, training.first.dataset.classes)
                yield {**own, "mark": ACCURACY, "epoch": epoch, **found.columns()}
            begins = _weights_begin(training.first)
            if begins is not None:
                nothing = {"value": None, "low": None, "high": None, "over": None, "n": None}
                yield {**own, "mark": BEGINS, "epoch": begins, **nothing}


def _alike(runs: Sequence[RunRecord], recorded: Mapping[int, Sequence[Curve]], attack: str) -> dict[int, Curve]:
    """The curve of each run on test images; the settings of the attack, and the number of images, are the same in all.

    Raises:
        HarnessError: a run has none, or several; or those of two runs cannot be compared.
    """
    found: dict[int, Curve] = {}
    for run in runs:
        its = [curve for curve in recorded[run.id] if curve.part == "test" and curve.attack == attack and curve.points]
        if not its:
            raise HarnessError(
                f"run {run.id} ({run.spec.label}) has no accuracies under {attack} over its epochs; record them with"
                f" the command `{command_of(run, runs, RECORD)}`"
            )
        if len(its) > 1:
            raise HarnessError(
                f"run {run.id} ({run.spec.label}) was recorded with several settings of {attack}, as its training was"
                f" stopped and resumed; record it again with the command `{command_of(run, runs, RECORD)}`"
            )
        (found[run.id],) = its
    first = found[runs[0].id]
    for run in runs:
        curve = found[run.id]
        if (curve.settings_sha256, curve.images) != (first.settings_sha256, first.images):
            raise HarnessError(
                f"the accuracies over the epochs of run {runs[0].id} and of run {run.id} cannot be compared: {attack}"
                " had other settings, or other images; record them alike with the command"
                f" `{command_of(run, runs, RECORD)}`"
            )
    return found


def _counts(training: Siblings, curves: Sequence[Curve], attack: str) -> list[tuple[int, list[int]]]:
    """The epochs after which every network of a training was attacked, with the images that each got right."""
    points = [dict(curve.points) for curve in curves]
    epochs = sorted(set.intersection(*({*its} for its in points)))
    if not epochs:
        raise HarnessError(
            f"the networks trained with {training.label} were attacked by {attack} after different epochs; record them"
            f" alike with the command `{command_of(training.first, training.runs, RECORD)}`"
        )
    return [(epoch, [its[epoch] for its in points]) for epoch in epochs]


def _weights_begin(run: RunRecord) -> float | None:
    """After how many epochs a method begins to weigh instances; None where it weighs from the start, or never."""
    burn_in = float(run.method_settings.get("burn_in", 0.0)) if run.method in WEIGHING else 0.0
    return burn_in * int(run.training["epochs"]) if 0 < burn_in < 1 else None
