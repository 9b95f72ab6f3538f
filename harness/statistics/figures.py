"""Figures over seeds, and 95 % intervals, each for one unit of inference: test images, or training seeds.

Imports the standard library alone at first, so that a stored leaderboard is shown fast.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

LEVEL = 0.95
UPPER = (1 + LEVEL) / 2  # the quantile at which a two-sided interval ends


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over n training seeds, in percent; ``std`` has ddof 1 and is None for one network."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True)
class Figure:
    """An accuracy in percent, over attack seeds and, with several networks, over training seeds.

    Attributes:
        median: over attack seeds; with several networks, the median of the networks' medians.
        std: over attack seeds, ddof 1; with several networks, the root mean square of the networks' deviations. None
            where every network has one attack seed.
        n: attack seeds of each network, the fewest where they differ; None where a publication does not say.
        train: spread of the networks' medians over training seeds; None for one network.
    """

    median: float
    std: float | None
    n: int | None
    train: Spread | None = None


def plus_minus(percent: float, std: float | None) -> str:
    """``78.89 ± 0.12``: a figure in percent and its standard deviation, where it has one."""
    return f"{percent:.2f}" + (f" ± {std:.2f}" if std is not None else "")


def summarise(networks: Sequence[Sequence[float]]) -> Figure | None:
    """Summarise accuracies, keeping the spread over attack seeds and the spread over training seeds apart.

    Args:
        networks: for each network (one training seed), its accuracies over attack seeds, in percent. A network without
            accuracies is left out.
    """
    measured = [list(accuracies) for accuracies in networks if accuracies]
    if not measured:
        return None
    medians = [statistics.median(accuracies) for accuracies in measured]
    deviations = [deviation(accuracies) for accuracies in measured if len(accuracies) > 1]
    std = math.sqrt(statistics.fmean(d * d for d in deviations)) if deviations else None
    train = Spread(statistics.fmean(medians), deviation(medians), len(medians)) if len(medians) > 1 else None
    return Figure(statistics.median(medians), std, min(len(accuracies) for accuracies in measured), train)


def deviation(values: Sequence[float]) -> float:
    """The standard deviation with ddof 1: the number of ``statistics.stdev``, to the last bit, in a tenth of the time.

    Floats are fractions of a power of two. So the variance is an exact fraction of whole numbers, and its root is
    rounded once: it is taken with two bits more than a float has, the last of which says whether more would follow.

    Raises:
        ValueError: fewer than two values.
    """
    count = len(values)
    if count < 2:
        raise ValueError(f"{count} values have no deviation")
    ratios = [value.as_integer_ratio() for value in values]
    scale = max(denominator for _, denominator in ratios)
    whole = [numerator * (scale // denominator) for numerator, denominator in ratios]
    over = count * sum(number * number for number in whole) - sum(whole) ** 2
    under = count * (count - 1) * scale * scale
    shift = (over.bit_length() - under.bit_length() - 109) // 2  # the root then has 54 bits or 55
    over, under = (over, under << 2 * shift) if shift >= 0 else (over << -2 * shift, under)
    root = math.isqrt(over // under)
    root |= root * root * under != over
    return float(root << shift) if shift >= 0 else root / (1 << -shift)


@dataclass(frozen=True)
class Interval:
    """An interval of an accuracy, in percent, or of a difference of accuracies, in percentage points."""

    low: float
    high: float


def wilson(percent: float, examples: int) -> Interval:
    """Wilson's score interval of an accuracy on n test images: the images are a sample, the network is fixed.

    For a median over attack seeds or networks, n is still the number of images: more seeds attack the same images
    again. The interval says nothing about networks trained from other seeds: see ``t_interval``.

    Args:
        percent: the accuracy; it need not be a whole number of images, as a median of two counts is not.
    Source: Wilson, JASA 1927.
    """
    share, z = percent / 100, statistics.NormalDist().inv_cdf(UPPER)
    shrink = 1 + z * z / examples
    centre = (share + z * z / (2 * examples)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / examples + (z / (2 * examples)) ** 2)
    # at 0 and 100 % centre and half cancel: write the exact ends, without a rounding error
    return Interval(100 * (centre - half) if share > 0 else 0.0, 100 * (centre + half) if share < 1 else 100.0)


def t_interval(mean: float, std: float | None, n: int) -> Interval | None:
    """Student's t-interval of a mean over n training seeds: the networks are a sample, the images are fixed.

    Args:
        std: with ddof 1; None where n is 1.
    Returns:
        None for one seed, which has no spread. The interval may pass 0 or 100 %, near which it is rough.
    """
    if std is None or n < 2:
        return None
    half = _t_quantile(n - 1) * std / math.sqrt(n)
    return Interval(mean - half, mean + half)


@cache
def _t_quantile(degrees: int) -> float:
    """Where a two-sided t-interval ends, in standard errors. A board has many rows, and few numbers of seeds."""
    from scipy import special  # imported late, and not scipy.stats: a table is printed often and must not wait

    return float(special.stdtrit(degrees, UPPER))
