"""What a network reached, epoch by epoch, on the training images that were held out; and which epoch that chose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.events import VALIDATION_NATURAL, VALIDATION_ROBUST
from harness.store.records import RunRecord


@dataclass(frozen=True)
class ValidatedEpoch:
    """The accuracies after an epoch on the images held out.

    Attributes:
        images: how many are held out.
    """

    epoch: int
    images: int
    natural_percent: float
    robust_percent: float


def validated_epochs(
    epochs: Iterable[tuple[int, Mapping[str, Any]]], training: Mapping[str, Any]
) -> tuple[ValidatedEpoch, ...]:
    """The epochs of a run that were measured on images held out, in the order of the epochs; empty if none are.

    Args:
        epochs: number and diagnostics of each.
        training: the training part of the run's protocol.
    """
    images, measured = training.get("validation", 0), []
    for epoch, found in sorted(epochs, key=lambda one: one[0]):
        natural, robust = found.get(VALIDATION_NATURAL), found.get(VALIDATION_ROBUST)
        if images and isinstance(natural, float) and isinstance(robust, float):
            measured.append(ValidatedEpoch(epoch, images, natural, robust))
    return tuple(measured)


def chosen_by(run: RunRecord) -> ValidatedEpoch | None:
    """The epoch of the highest robust accuracy so far, of several the earliest; None if no images are held out."""
    validated = validated_epochs(((one.epoch, one.diagnostics) for one in run.epochs), run.training)
    return max(validated, key=lambda one: one.robust_percent, default=None)
