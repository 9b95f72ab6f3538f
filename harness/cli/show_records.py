"""What was recorded while a network was trained: accuracies in two lines, histograms in one; all of it in JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from harness.cli.visible_records import visible_in
from harness.leaderboard.curves import PARTS, last_of, named, said, samples
from harness.store.records import Curve, EpochHistogram


def record_lines(curves: Sequence[Curve], histograms: Sequence[EpochHistogram]) -> Iterator[Text]:
    """The last accuracies under each attack, and the names of the histograms; nothing if nothing was recorded."""
    curves, histograms = visible_in(list(curves)), visible_in(list(histograms))
    on = samples(curves)
    if on:
        last = last_of(curve for those in on.values() for curve in those)
        counts = " and ".join(f"{images} {PARTS[part]} images" for part, images in on)
        yield Text(f"\naccuracies after epoch {last}, recorded in training, on {counts}", style="bold")
    for (part, _), those in on.items():
        yield Text(f"  {PARTS[part]:<8}  {', '.join(f'{name} {said(curve, last)}' for name, curve in named(those))}")
    if histograms:
        names = dict.fromkeys(one.histogram.name for one in histograms)
        epochs = {one.epoch for one in histograms}
        yield Text(
            f"\nhistograms of {len(epochs)} epoch{'' if len(epochs) == 1 else 's'}: {', '.join(names)}", style="bold"
        )


def record_document(curves: Sequence[Curve], histograms: Sequence[EpochHistogram]) -> dict[str, Any]:
    """Every point and every bin, in JSON types."""
    return {
        "curves": [_curve(curve) for curve in curves],
        "histograms": [{"epoch": one.epoch, **dataclasses.asdict(one.histogram)} for one in histograms],
    }


def _curve(curve: Curve) -> dict[str, Any]:
    names = ("epoch", "correct", "accuracy_percent")
    points = [
        dict(zip(names, (epoch, correct, curve.percent(correct)), strict=True)) for epoch, correct in curve.points
    ]
    return {**dataclasses.asdict(curve), "points": points, "lost_points": curve.lost_points if points else None}
