"""Whether two are alike within a margin: two one-sided tests, over training seeds or over test images.

No significant difference is no evidence of equality. Here the null hypothesis is that they differ by the margin or
more, so that few seeds, or few images, make the claim harder. The margin must be chosen before the figures are seen.
Source: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 1987.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from harness.statistics.figures import Interval
from harness.statistics.paired import ALPHA, Crossed
from harness.statistics.seed_sides import SeedSides

_HALVINGS = 60  # of an interval of shares: ends at the precision of a float


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests of a difference, first minus second, against a margin; all in points.

    Attributes:
        p_not_worse: p-value of the null hypothesis that the first is worse by the margin or more.
        p_not_better: p-value of the null hypothesis that the first is better by the margin or more.
        interval: the 90 % interval of the difference: it lies within the margin where both are below 5 %.
        n: training seeds, or test images.
    """

    margin: float
    p_not_worse: float
    p_not_better: float
    interval: Interval
    n: int

    @property
    def not_worse(self) -> bool:
        """Whether the first is shown to be no worse than the second by the margin."""
        return self.p_not_worse < ALPHA

    @property
    def not_better(self) -> bool:
        """Whether the second is shown to be no worse than the first by the margin."""
        return self.p_not_better < ALPHA

    @property
    def equivalent(self) -> bool:
        """Whether both are shown. No correction is needed: both must hold."""
        return self.not_worse and self.not_better


def over_seeds(sides: SeedSides, margin: float) -> Equivalence | None:
    """Two one-sided t-tests over training seeds; None where the seeds' differences have no spread.

    Args:
        margin: in points.
    Raises:
        ValueError: the margin is not above 0.
    """
    _check(margin)
    difference, error, degrees = sides.difference, sides.error, sides.degrees
    if not error:
        return None
    from scipy import special

    half = float(special.stdtrit(degrees, 1 - ALPHA)) * error
    return Equivalence(
        margin,
        float(special.stdtr(degrees, -(difference + margin) / error)),
        float(special.stdtr(degrees, (difference - margin) / error)),
        Interval(difference - half, difference + half),
        sides.seeds,
    )


def over_images(table: Crossed, margin: float) -> Equivalence:
    """Two one-sided score tests of two networks on the same test images.

    Args:
        margin: in points, below 100.
    Raises:
        ValueError: the margin is not above 0, or not below 100.
    Source: Tango, Statistics in Medicine 1998.
    """
    _check(margin)
    if not margin < 100:
        raise ValueError(f"a margin of {margin:g} points is none of two shares")
    normal, share = NormalDist(), margin / 100
    bound = normal.inv_cdf(1 - ALPHA)
    # the score falls as the supposed difference rises: each end is where it passes the bound
    low = _where_falling(table, bound)
    high = _where_falling(table, -bound)
    return Equivalence(
        margin,
        normal.cdf(-_score(table, -share)),
        normal.cdf(_score(table, share)),
        Interval(100 * low, 100 * high),
        table.examples,
    )


def _score(table: Crossed, supposed: float) -> float:
    """Tango's score, standard normal if the difference of the two shares is the supposed one, in (-1, 1)."""
    n, first, second = table.examples, table.first_only, table.second_only
    # the most likely share of images that the second alone has right, if the difference is the supposed one
    b = (2 * n - first + second) * supposed - first - second
    c = -second * supposed * (1 - supposed)
    least = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * least + supposed * (1 - supposed))
    distance = first - second - n * supposed
    if variance <= 0:  # the networks never disagree, and the supposed difference is 0
        return 0.0 if not distance else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def _where_falling(table: Crossed, bound: float) -> float:
    """The supposed difference at which the score passes a bound."""
    low, high = -1.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _score(table, middle) > bound else (low, middle)
    return (low + high) / 2


def _check(margin: float) -> None:
    if not margin > 0:
        raise ValueError(f"a margin of {margin:g} points leaves no room: it must be above 0")
