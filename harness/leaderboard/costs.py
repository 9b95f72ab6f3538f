"""What the training behind a row cost, beside its robustness: passes, time, and the front of the rows that pay best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Order = Literal["rank", "passes", "points-per-pass"]
PASSES, POINTS, FRONT, HOURS, TRAINED_ON = "passes", "points per 1000 passes", "front", "hours", "trained on"
COST_TITLES = (PASSES, POINTS, FRONT, HOURS, TRAINED_ON)
LEGEND = (
    f"{PASSES}: forward and backward passes of the training for each training image, up to the checkpoint; passes of"
    f" two networks cannot be compared. {POINTS}: of the accuracy in the column that ranks. {FRONT}: no row of the same"
    " network has as much accuracy for as few passes, and is better in one of both; by the figures as they are, whether"
    f" or not rows tie. {HOURS}: measured, of one network, on the machine that is named"
)


@dataclass(frozen=True)
class Cost:
    """What training one network of a row cost, from the first epoch to the row's checkpoint; a mean over networks.

    Of the checkpoint ``best`` it is the whole training: see ``harness.planning.spent``.

    Attributes:
        passes: forward and backward passes for each image of the training set; None where they cannot be counted.
        seconds: of the epochs, measured; None where an epoch has no record.
        places: the machines and devices of the trainings.
        points: percentage points of the accuracy that ranks, for 1000 passes; None without one of both.
        front: whether no row of the same network is better for as many passes, or as good for fewer; None where the
            figure or the passes are unknown.
    """

    passes: float | None
    seconds: float | None
    places: tuple[str, ...]
    points: float | None = None
    front: bool | None = None

    def document(self) -> dict[str, Any]:
        """In JSON types."""
        return {
            "passes": self.passes,
            "points_per_1000_passes": self.points,
            "front": self.front,
            "training_s": self.seconds,
            "trained_on": list(self.places),
        }


def on_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Whether each point, an accuracy and its cost, is on the Pareto front.

    It is unless another has at least its accuracy at no more than its cost, and is better in one of both. Equal points
    share their place.
    """
    best: dict[float, float] = {}  # cost -> the best accuracy at this cost
    for accuracy, cost in points:
        best[cost] = max(accuracy, best.get(cost, accuracy))
    least, front = float("-inf"), {}  # a cost is on the front if it buys more than every lower one
    for cost in sorted(best):
        if best[cost] > least:
            front[cost] = least = best[cost]
    return [front.get(cost) == accuracy for accuracy, cost in points]
