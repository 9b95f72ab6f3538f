"""95 % intervals of accuracies, each for one unit of inference: test images, or training seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

LEVEL = 0.95
UPPER = (1 + LEVEL) / 2  # the quantile at which a two-sided interval ends


@dataclass(frozen=True)
class Interval:
    """An interval in percent, or in points where it is of a difference."""

    low: float
    high: float


def wilson(percent: float, examples: int) -> Interval:
    """Wilson's score interval of an accuracy on n test images: the images are a sample, the network is given.

    Of a median over attack seeds, or over networks, n is still the number of images: more seeds attack the same
    images again, and make no more of them. It says nothing about another training: see ``t_interval``.

    Args:
        percent: the accuracy; a median may lie between two counts.
    Source: Wilson, JASA 1927.
    """
    share, z = percent / 100, NormalDist().inv_cdf(UPPER)
    shrink = 1 + z * z / examples
    centre = (share + z * z / (2 * examples)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / examples + (z / (2 * examples)) ** 2)
    # at the ends the halves cancel: exactly, not but for rounding
    return Interval(100 * (centre - half) if share > 0 else 0.0, 100 * (centre + half) if share < 1 else 100.0)


def t_interval(mean: float, std: float | None, n: int) -> Interval | None:
    """Student's interval of a mean over n training seeds: the networks are a sample, the images are given.

    Args:
        std: with ddof 1; None where n is 1.
    Returns:
        None for one seed, of which no spread is known. It is not cut at 0 and 100 %, near which it is rough.
    """
    if std is None or n < 2:
        return None
    from scipy import special  # here, and not scipy.stats: a table that is read often waits for it

    half = float(special.stdtrit(n - 1, UPPER)) * std / math.sqrt(n)
    return Interval(mean - half, mean + half)
