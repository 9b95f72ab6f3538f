"""Bootstrap over test images and training seeds, the same resample for all: intervals of ranks, orders, and changes.

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
    observed = _ranks(np.array([observed_figures(rows)]))[0]
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


def observed_figures(rows: Sequence[Sequence[OfNetwork]]) -> list[float]:
    """The figure of each row without any resampling, in percent: the median over its networks.

    Args:
        rows: as ``rank_intervals`` takes them.
    """
    import numpy as np

    held = [_matrix(network) for row in rows for network in row]
    examples = held[0].shape[1]
    figures = _over_networks(_figures(np.ones((1, examples)), held).reshape(1, len(rows), len(rows[0])), None)
    return [float(figure) for figure in 100 * figures[0] / examples]


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kendall's tau-b between two orders of the same rows: 1 where they agree, -1 where they are reversed.

    Returns:
        None where all figures of a side are equal, or there are fewer than two rows: there is no order.
    """
    import numpy as np

    (found,) = _taus(np.array([first], np.float64), np.array([second], np.float64))
    return None if np.isnan(found) else float(found)


def tau_interval(
    first: Sequence[Sequence[OfNetwork]],
    second: Sequence[Sequence[OfNetwork]],
    *purpose: str | int,
    same_images: bool,
    same_seeds: bool,
) -> Interval:
    """The 95 % percentile bootstrap interval of Kendall's tau-b between the orders of the same rows on two boards.

    Each resample draws the test images with replacement and, on a board whose rows have two networks or more, the
    training seeds, the same for all rows of a board. The rows themselves are fixed. A resample in which all rows of a
    board are equal counts as tau = 0.

    Args:
        first, second: as ``rank_intervals`` takes them; the same rows in the same order.
        purpose: seeds the random draws.
        same_images: whether both boards have the same test images, which are then drawn alike.
        same_seeds: whether both boards have the same training seeds, which are then drawn alike.
    Raises:
        ValueError: the boards differ in their rows.
    """
    import numpy as np

    if len(first) != len(second):
        raise ValueError(f"orders of {len(first)} and of {len(second)} rows cannot be compared")
    boards = [[[_matrix(network) for network in row] for row in rows] for rows in (first, second)]
    examples = [board[0][0].shape[1] for board in boards]
    networks = [len(board[0]) for board in boards]
    draws = _generator("tau", *purpose)
    together = max(1, DRAWN_AT_ONCE // max(examples))
    taus = []
    for start in range(0, RESAMPLES, together):
        count = min(together, RESAMPLES - start)
        weights = [_weights(count, number, draws) for number in (examples[:1] if same_images else examples)]
        seeds = [draws.integers(0, n, (count, 1, n)) for n in (networks[:1] if same_seeds else networks)]
        sides = [
            _over_networks(_figures(w, [m for row in board for m in row]).reshape(count, len(board), n), chosen)
            for board, n, w, chosen in zip(boards, networks, weights * 2, seeds * 2, strict=False)
        ]
        taus.append(_taus(*sides))
    low, high = np.percentile(np.nan_to_num(np.concatenate(taus)), [100 * (1 - UPPER), 100 * UPPER])
    return Interval(float(low), float(high))


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
    together = max(1, DRAWN_AT_ONCE // examples)
    for start in range(0, RESAMPLES, together):
        count = min(together, RESAMPLES - start)
        yield _weights(count, examples, draws)


def _weights(count: int, examples: int, draws: Any) -> Floats:
    """How often each image is drawn in so many resamples."""
    import numpy as np

    chosen = draws.integers(0, examples, (count, examples)) + examples * np.arange(count)[:, None]
    return np.bincount(chosen.ravel(), minlength=count * examples).reshape(count, examples).astype(np.float64)


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


def _taus(first: Floats, second: Floats) -> Floats:
    """Kendall's tau-b between the rows' figures on two boards, for each resample; NaN where a board has no order."""
    import numpy as np

    one, other = (np.sign(figures[:, None, :] - figures[:, :, None]) for figures in (first, second))
    untied = np.sqrt((one != 0).sum(axis=(1, 2)) * (other != 0).sum(axis=(1, 2)).astype(np.float64))
    agreed = (one * other).sum(axis=(1, 2))
    return np.asarray(np.divide(agreed, untied, out=np.full(len(one), np.nan), where=untied > 0))
