"""What a count of a few images, or of a few training seeds, proves of a share: exact bounds and intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from harness.statistics.figures import LEVEL, Interval

CONFIDENCE = 0.95  # of a one-sided bound: a flag is raised in one direction
_NEGLIGIBLE = 1e-18  # of a sum: smaller terms do not change a float


@lru_cache(maxsize=10_000)  # a board of thousands of networks asks for the same few again and again
def lower_bound(count: int, of: int) -> float:
    """The exact one-sided lower bound of a share (Clopper and Pearson 1934); 0 if there is nothing to count.

    It is not Wilson's, whose bound for 1 of 1 is 0.27: a single image would raise a flag.
    """
    from scipy.stats import binomtest

    if of == 0:
        return 0.0
    return float(binomtest(count, of, alternative="greater").proportion_ci(CONFIDENCE, method="exact").low)


def upper_bound(count: int, of: int) -> float:
    """The exact one-sided upper bound of a share; 1 if there is nothing to count."""
    return 1.0 - lower_bound(of - count, of)


@lru_cache(maxsize=10_000)
def exact_interval(count: int, of: int) -> Interval:
    """The exact two-sided 95 % interval of a share, in percent (Clopper and Pearson, Biometrika 1934).

    It covers the true share in 95 % of draws or more, at any number of draws; with few it is wide.

    Args:
        count: how many of the draws count, from 0 to ``of``; ``of`` is 1 or more.
    """
    tail = (1 - LEVEL) / 2
    low = _share_where(lambda share: at_least(count, of, share) >= tail) if count else 0.0
    high = _share_where(lambda share: at_most(count, of, share) <= tail) if count < of else 1.0
    return Interval(100 * low, 100 * high)


def _share_where(reached: Callable[[float], bool]) -> float:
    """The least share, from 0 to 1, from which on ``reached`` is true, to the last bits of a float."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def at_least(count: int, of: int, share: float) -> float:
    """The chance of ``count`` or more in ``of`` independent draws of chance ``share``, which is above 0 and below 1.

    It is exact up to rounding, and needs the standard library alone: a board that is shown must not wait for scipy.
    """
    return at_most(of - count, of, 1 - share)


def at_most(count: int, of: int, share: float) -> float:
    """The chance of ``count`` or fewer; see ``at_least``."""
    if count >= of:
        return 1.0
    if count < 0:
        return 0.0
    ways = math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)
    log = ways + count * math.log(share) + (of - count) * math.log1p(-share)
    total, odds = 0.0, math.log1p(-share) - math.log(share)
    for k in range(count, -1, -1):  # from the greatest term, if the count lies below the mean
        term = math.exp(log)
        total += term
        if term < _NEGLIGIBLE * total and k < share * of:
            break
        log += odds + (math.log(k / (of - k + 1)) if k else 0.0)
    return min(total, 1.0)
