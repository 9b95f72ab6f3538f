"""The accuracies that were recorded while a network was trained, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from harness.events import Part
from harness.store.records import Curve

PARTS: dict[Part, str] = {"test": "test", "train": "training"}
"""The parts of a data set, in words."""


def samples(curves: Iterable[Curve]) -> dict[tuple[Part, int], list[Curve]]:
    """The curves on the same images: part and number of images -> curves; test images first."""
    found: dict[tuple[Part, int], list[Curve]] = {}
    order = list(PARTS)
    for curve in sorted(curves, key=lambda curve: order.index(curve.part)):
        if curve.points:
            found.setdefault((curve.part, curve.images), []).append(curve)
    return found


def named(curves: Sequence[Curve]) -> Iterator[tuple[str, Curve]]:
    """The curves on one sample by the names of their attacks, with the settings that tell two of one attack apart."""
    for curve in curves:
        others = [other.settings for other in curves if other.attack == curve.attack]
        telling = {key: value for key, value in curve.settings.items() if _differs(key, value, others)}
        text = " ".join(
            f"{key}={value:.6g}" if isinstance(value, float) else f"{key}={value}" for key, value in telling.items()
        )
        yield f"{curve.attack} ({text})" if text else curve.attack, curve


def _differs(key: str, value: Any, others: Sequence[dict[str, Any]]) -> bool:
    return any(other.get(key) != value for other in others)


def last_of(curves: Iterable[Curve]) -> int:
    """The last epoch after which there is a point."""
    return max(curve.last[0] for curve in curves)


def said(curve: Curve, last: int) -> str:
    """The last accuracy, and how far it lies below the best: ``45.3 % (2.3 points below its best, after epoch 7)``.

    Args:
        last: the epoch that goes without saying.
    """
    epoch, correct = curve.last
    text = f"{curve.percent(correct):.1f} %" + (f" after epoch {epoch}" if epoch != last else "")
    lost = f"{curve.lost_points:.1f} points below its best, after epoch {curve.best[0]}"
    return f"{text} ({lost})" if curve.lost_points > 0 else text
