"""What a count of a few images proves of a share: exact one-sided bounds."""

from __future__ import annotations

from functools import lru_cache

CONFIDENCE = 0.95  # of a one-sided bound: a flag is raised in one direction


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
