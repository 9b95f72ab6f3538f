"""What was recorded of trainings and attacks for figures: curves, histograms, and adversarial images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.api.contents import TableColumn
from harness.api.gathered import Row, current, of_attack, of_run
from harness.api.packed import Positions, Repeated

if TYPE_CHECKING:
    import numpy as np

    from harness.events import Histogram
    from harness.store.store import Store

HELD = "held"
"""The key of a row under which its histogram is."""


@dataclass(frozen=True, eq=False)
class AdversarialImages:
    """The adversarial images that were kept of one evaluation, to look at.

    Attributes:
        positions: ``(n,)`` int64, the images' places in the evaluation set.
        pixels: ``(n, channels, height, width)`` float32 in [0, 1], as the network classified them.
        correct: ``(n,)`` bool, whether the network is right.
        predicted: ``(n,)`` int32, the class that it gives them; -1 where its logits are not finite.
    """

    positions: np.ndarray[Any, Any]
    pixels: np.ndarray[Any, Any]
    correct: np.ndarray[Any, Any]
    predicted: np.ndarray[Any, Any]


def curve_rows(store: Store) -> Iterator[Row]:
    """Each point of each curve of each run."""
    runs = store.trainings()
    counts, curves = current(runs), store.curves_of(run.id for run in runs)
    for run in runs:
        known = of_run(run, counts)
        for curve in curves[run.id]:
            of_curve = known | {"part": curve.part, "images": curve.images, **of_attack(curve)}
            for epoch, correct in curve.points:
                share = {"correct": correct, "accuracy_percent": curve.percent(correct)}
                yield of_curve | {"epoch": epoch, **share}


def histogram_rows(store: Store) -> Iterator[Row]:
    """Each histogram of each run, in a row that has it under ``HELD``."""
    runs = store.trainings()
    counts, histograms = current(runs), store.histograms_of(run.id for run in runs)
    for run in runs:
        known = of_run(run, counts)
        for one in histograms[run.id]:
            yield known | {"epoch": one.epoch, "quantity": one.histogram.name, HELD: one.histogram}


def bin_columns(rows: Sequence[Mapping[str, Any]], of_histogram: Sequence[TableColumn]) -> dict[str, Sequence[Any]]:
    """The columns of the table of histograms: a row for each bin.

    Args:
        rows: those of ``histogram_rows``.
        of_histogram: the columns that are the same in all bins of a histogram.
    """
    import numpy as np

    held: list[Histogram] = [row[HELD] for row in rows]
    bins = [len(one.counts) for one in held]
    edges = [np.linspace(one.low, one.high, number + 1) for one, number in zip(held, bins, strict=True)]
    packed: dict[str, Any] = {
        column.name: Repeated([row[column.name] for row in rows], bins) for column in of_histogram
    }
    empty = np.zeros(0)
    return packed | {
        "bin": Positions(bins),
        "low": np.concatenate([empty, *(edge[:-1] for edge in edges)]),
        "high": np.concatenate([empty, *(edge[1:] for edge in edges)]),
        "count": np.array([count for one in held for count in one.counts], np.int64),
    }


def adversarial_images(store: Store, evaluation: int) -> AdversarialImages:
    """See ``Results.adversarial_images``."""
    import numpy as np

    examples, shape = store.evaluated(evaluation)
    kept, judged = store.adversarial_images(evaluation), store.judgements({evaluation: examples})
    positions = np.array([image.place for image in kept], np.int64)
    pixels = np.frombuffer(b"".join(image.pixels for image in kept), "<f4").astype(np.float32)
    of_images = (judged.correct[positions], judged.predicted[positions])
    return AdversarialImages(positions, pixels.reshape(len(kept), *shape), *of_images)
