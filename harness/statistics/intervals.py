"""95 % intervals of accuracies, each for one unit of inference: test images, or training seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

LEVEL = 0.95
UPPER = (1 + LEVEL) / 2  # the quantile at which a two-sided interval ends


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
    share, z = percent / 100, NormalDist().inv_cdf(UPPER)
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
    from scipy import special  # imported late, and not scipy.stats: a table is printed often and must not wait

    half = float(special.stdtrit(n - 1, UPPER)) * std / math.sqrt(n)
    return Interval(mean - half, mean + half)
