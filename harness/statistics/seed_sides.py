"""Two methods over training seeds: their accuracies, and what a test over these seeds says and can say."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from harness.statistics.figures import UPPER, Interval
from harness.statistics.paired import paired_t
from harness.statistics.power import SAME, SeedNoise, paired_noise, spread, unpaired_noise
from harness.statistics.seed_correlation import SeedCorrelation, seed_correlation

PAIRED: Literal["paired t"] = "paired t"
WELCH: Literal["Welch's t"] = "Welch's t"


@dataclass(frozen=True)
class SeedTest:
    """A t-test of two methods over training seeds, first minus second, in points.

    Attributes:
        interval: Student's, 95 %.
        p: two-sided; None where the difference is the same, and not 0, for all seeds: with no spread there is no t.
        n: training seeds of each side; where the sides differ, the fewer.
        counts: training seeds of the first and the second side.
    """

    test: Literal["paired t", "Welch's t"]
    difference: float
    interval: Interval
    p: float | None
    n: int
    counts: tuple[int, int]


@dataclass(frozen=True)
class SeedSides:
    """The accuracies of two methods in percent, one a training seed, at least two a side.

    Attributes:
        paired: whether networks at the same position are pairs; both sides then have equally many.
        in_common: the accuracies of both methods for each training seed that both have, whether they are paired or not.
    """

    first: tuple[float, ...]
    second: tuple[float, ...]
    paired: bool
    in_common: tuple[tuple[float, float], ...] = ()

    @property
    def seeds(self) -> int:
        """How many seeds each side has; where the sides differ, the fewer."""
        return min(len(self.first), len(self.second))

    @property
    def difference(self) -> float:
        """The first side's mean minus the second's, in points."""
        return statistics.fmean(self.first) - statistics.fmean(self.second)

    @property
    def error(self) -> float:
        """The standard error of the difference, in points; 0 where the seeds agree up to rounding."""
        if self.paired:
            return self.noise.std / math.sqrt(self.seeds)
        return math.sqrt(sum(self._parts))

    @property
    def degrees(self) -> float:
        """The degrees of freedom of ``error``: n - 1 of pairs, else Welch's and Satterthwaite's."""
        if self.paired or not self.error:
            return float(self.seeds - 1)
        counts = (len(self.first), len(self.second))
        return self.error**4 / sum(part**2 / (n - 1) for part, n in zip(self._parts, counts, strict=True))

    @cached_property
    def _parts(self) -> tuple[float, float]:
        """The squared error of each side's mean. Kept: an exact deviation is slow, and all pairs of rows are tested."""
        first, second = (spread(side) ** 2 / len(side) for side in (self.first, self.second))
        return first, second

    def test(self) -> SeedTest:
        """The t-test whose null hypothesis is that the mean difference is 0: paired, or Welch's."""
        counts = (len(self.first), len(self.second))
        if self.paired:
            found = paired_t(self.first, self.second)
            return SeedTest(PAIRED, found.difference, found.interval, found.p, found.n, counts)
        difference, error = self.difference, self.error
        if not error:
            equal = abs(difference) < SAME
            return SeedTest(
                WELCH, difference, Interval(difference, difference), 1.0 if equal else None, self.seeds, counts
            )
        from scipy import special

        half = float(special.stdtrit(self.degrees, UPPER)) * error
        p = 2 * float(special.stdtr(self.degrees, -abs(difference) / error))
        return SeedTest(WELCH, difference, Interval(difference - half, difference + half), p, self.seeds, counts)

    @property
    def correlation(self) -> SeedCorrelation | None:
        """How the two methods go together, seed by seed; None for fewer than three seeds in common."""
        first, second = ([pair[side] for pair in self.in_common] for side in (0, 1))
        return seed_correlation(first, second)

    @property
    def noise(self) -> SeedNoise:
        """How the difference varies with the training seed."""
        return (paired_noise if self.paired else unpaired_noise)(self.first, self.second)
