"""Bootstrap over test images and training seeds, the same resample for all: intervals of ranks, and of a change.

Verdicts have one byte an image: 1 is right, 0 wrong. The verdicts of a network are those of each attack seed; its
figure is the median over attack seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.identity import digest
from harness.statistics.figures import UPPER, Interval
from harness.statistics.paired import RESAMPLES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int64]

DRAWN_AT_ONCE = 4_000_000  # images: bounds the memory

OfNetwork = Sequence[bytes]
"""Verdicts of one network on the same images, for each attack seed."""


@dataclass(frozen=True)
class RankInterval:
    """A rank, from 1, the best, and the 95 % interval of the rank under the bootstrap."""

    rank: int
    low: int
    high: int


def rank_intervals(rows: Sequence[Sequence[OfNetwork]], *purpose: str | int) -> list[RankInterval]:
    """How far the rank of each row depends on which test images, and which training seeds, were drawn.

    Each resample draws the test images with replacement and, where the rows have two networks or more, the training
    seeds, each on its own. All rows get the same images and the same seeds, so what rows share cancels. Rows are ranked
    anew in each resample by the median over networks, as on the leaderboard; equal figures share a rank. An interval
    runs from the 2.5 % to the 97.5 % quantile of the row's ranks, which are whole numbers.

    Args:
        rows: for each row, its networks in the order of the training seeds, which all rows share; one network a row:
            images alone are drawn.
        purpose: seeds the random draws, so that the same question gets the same intervals.
    Raises:
        ValueError: the rows differ in their number of networks, or the verdicts in their number of images.
    Source: ranks under the bootstrap: Hall and Miller, Annals of Statistics 2009. Images and seeds drawn independently
        of each other: Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007, where the variance is
        overestimated rather than underestimated.
    """
    import numpy as np

    networks = {len(row) for row in rows}
    if len(networks) != 1 or networks == {0}:
        raise ValueError(f"rows of {sorted(networks)} networks cannot be ranked together")
    (count,) = networks
    held = [_matrix(network) for row in rows for network in row]
    if len({matrix.shape[1] for matrix in held}) != 1:
        raise ValueError("verdicts on different numbers of images cannot be paired")
    examples = held[0].shape[1]
    observed = _ranks(_over_networks(_figures(np.ones((1, examples)), held).reshape(1, len(rows), count), None))[0]
    draws = _generator("ranks", *purpose)
    ranks = np.concatenate(
        [
            _ranks(
                _over_networks(
                    _figures(weights, held).reshape(len(weights), len(rows), count),
                    draws.integers(0, count, (len(weights), 1, count)) if count > 1 else None,
                )
            )
            for weights in _image_weights(examples, draws)
        ]
    )
    ends = np.percentile(ranks, [100 * (1 - UPPER), 100 * UPPER], axis=0, method="inverted_cdf")
    return [RankInterval(int(rank), int(low), int(high)) for rank, low, high in zip(observed, *ends, strict=True)]


def bootstrap_change(first: OfNetwork, second: OfNetwork, *purpose: str | int) -> Interval:
    """The percentile bootstrap interval of a change in points, first to second, over test images.

    Draws images with replacement, the same for both; each side's figure is the median over its attack seeds.

    Args:
        purpose: seeds the random draws.
    """
    import numpy as np

    held = [_matrix(first), _matrix(second)]
    examples = held[0].shape[1]
    draws = _generator("change", *purpose)
    changes = np.concatenate([np.diff(_figures(w, held), axis=1)[:, 0] for w in _image_weights(examples, draws)])
    low, high = 100 / examples * np.percentile(changes, [100 * (1 - UPPER), 100 * UPPER])
    return Interval(float(low), float(high))


def _generator(*purpose: str | int) -> Any:
    import numpy as np

    return np.random.default_rng(int(digest(["bootstrap", *purpose])[:16], 16))


def _matrix(network: OfNetwork) -> Floats:
    """Attack seeds by images."""
    import numpy as np

    return np.stack([np.frombuffer(verdicts, np.uint8) for verdicts in network]).astype(np.float64)


def _image_weights(examples: int, draws: Any) -> Iterator[Floats]:
    """How often each image is drawn in each resample, some resamples at a time."""
    import numpy as np

    together = max(1, DRAWN_AT_ONCE // examples)
    for start in range(0, RESAMPLES, together):
        count = min(together, RESAMPLES - start)
        chosen = draws.integers(0, examples, (count, examples)) + examples * np.arange(count)[:, None]
        yield np.bincount(chosen.ravel(), minlength=count * examples).reshape(count, examples).astype(np.float64)


def _figures(weights: Floats, held: Sequence[Floats]) -> Floats:
    """Resamples by networks: the number of images right, as the median over attack seeds."""
    import numpy as np

    return np.stack([np.median(weights @ matrix.T, axis=1) for matrix in held], axis=1)


def _over_networks(figures: Floats, chosen: Indices | None) -> Floats:
    """Resamples by rows: the median over the networks, or over those that were chosen."""
    import numpy as np

    drawn = figures if chosen is None else np.take_along_axis(figures, chosen, axis=2)
    return np.asarray(np.median(drawn, axis=2))


def _ranks(figures: Floats) -> Indices:
    """Resamples by rows: 1 and the number of rows that are better."""
    import numpy as np

    better = figures[:, None, :] > figures[:, :, None]  # resample, row, other row
    return np.asarray(1 + better.sum(axis=2), np.int64)
