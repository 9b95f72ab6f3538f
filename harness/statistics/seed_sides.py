"""Two methods over training seeds: their accuracies, and what a test over these seeds says and can say."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from harness.statistics.power import SeedNoise, paired_noise, spread, unpaired_noise


@dataclass(frozen=True)
class SeedSides:
    """The accuracies of two methods in percent, one a training seed, at least two a side.

    Attributes:
        paired: whether networks at the same position are pairs; both sides then have equally many.
    """

    first: tuple[float, ...]
    second: tuple[float, ...]
    paired: bool

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
        return math.sqrt(spread(self.first) ** 2 / len(self.first) + spread(self.second) ** 2 / len(self.second))

    @property
    def degrees(self) -> float:
        """The degrees of freedom of ``error``: n - 1 of pairs, else Welch's and Satterthwaite's."""
        if self.paired or not self.error:
            return float(self.seeds - 1)
        sides = [(spread(side) ** 2 / len(side), len(side) - 1) for side in (self.first, self.second)]
        return self.error**4 / sum(part**2 / freedom for part, freedom in sides)

    @property
    def noise(self) -> SeedNoise:
        """How the difference varies with the training seed."""
        return (paired_noise if self.paired else unpaired_noise)(self.first, self.second)
