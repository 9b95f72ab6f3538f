"""Whether two entrants are alike within a margin that the user gives: over training seeds, and network by network."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.comparison.comparison import Comparison
from harness.errors import HarnessError
from harness.statistics.equivalence import Equivalence, over_images, over_seeds


@dataclass(frozen=True)
class Alike:
    """Two one-sided tests of two entrants.

    Attributes:
        methods: over training seeds; None for too few seeds, or where they have no spread.
        networks: over test images, one for each pair of networks of the comparison, on the verdicts "right under every
            attack seed".
    """

    margin: float
    methods: Equivalence | None
    networks: tuple[Equivalence, ...]


def alike(comparison: Comparison, margin: float) -> Alike:
    """Test two compared entrants against a margin in points.

    Raises:
        HarnessError: the margin is not above 0 and below 100.
    """
    if not (isinstance(margin, int | float) and math.isfinite(margin) and 0 < margin < 100):
        raise HarnessError(f"--margin {margin} is refused: it is a difference in points, above 0 and below 100")
    methods = None if comparison.sides is None else over_seeds(comparison.sides, margin)
    networks = (over_images(network.every.table, margin) for network in comparison.networks)
    return Alike(margin, methods, tuple(networks))
