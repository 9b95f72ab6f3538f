"""How strongly the accuracies of two methods go together, seed by seed: what a pairing by seed gains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, correlation

from harness.statistics.figures import UPPER, Interval
from harness.statistics.power import spread


@dataclass(frozen=True)
class SeedCorrelation:
    """Pearson's correlation of two methods over the training seeds that both have.

    Attributes:
        interval: 95 %, by Fisher's transformation; None for three seeds, or where r is 1 or -1.
        ratio: variance of the difference of one seed's networks, divided by the sum of both variances: below 1 a
            pairing gains, above 1 it loses.
        n: seeds.
    """

    r: float
    interval: Interval | None
    ratio: float
    n: int


def seed_correlation(first: Sequence[float], second: Sequence[float]) -> SeedCorrelation | None:
    """Correlate two methods, seed by seed; None for fewer than three seeds, or where a side has no spread.

    Args:
        first, second: accuracies in percent, one for each training seed, in the same order of seeds.
    Source: Fisher, Metron 1921.
    """
    n = len(first)
    if n < 3 or not (spread(first) and spread(second)):
        return None
    r = max(-1.0, min(1.0, correlation(first, second)))
    ratio = spread([a - b for a, b in zip(first, second, strict=True)]) ** 2
    ratio /= spread(first) ** 2 + spread(second) ** 2
    return SeedCorrelation(r, _interval(r, n), ratio, n)


def _interval(r: float, n: int) -> Interval | None:
    if n < 4 or 1 - abs(r) < 1e-12:
        return None
    half = NormalDist().inv_cdf(UPPER) / math.sqrt(n - 3)
    return Interval(math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half))
