"""Two methods over training seeds: their accuracies, and what a test over these seeds says and can say."""

from __future__ import annotations

from dataclasses import dataclass

from harness.statistics.power import SeedNoise, paired_noise, unpaired_noise


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
    def noise(self) -> SeedNoise:
        """How the difference varies with the training seed."""
        return (paired_noise if self.paired else unpaired_noise)(self.first, self.second)
