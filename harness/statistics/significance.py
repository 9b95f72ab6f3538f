"""The paired t-test of two methods over training seeds, and Holm's correction for several comparisons."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.statistics.intervals import Interval, t_interval

ALPHA = 0.05
_SAME = 1e-9  # points: differences closer than this are equal up to rounding


@dataclass(frozen=True)
class PairedT:
    """A difference over training seeds, in points.

    Attributes:
        interval: Student's, 95 %.
        p: two-sided; None where the difference is the same, and not 0, for every seed: with no spread there is no t.
        n: training seeds.
    """

    difference: float
    interval: Interval
    p: float | None
    n: int


def paired_t(first: Sequence[float], second: Sequence[float]) -> PairedT:
    """Student's paired t-test over training seeds. Null hypothesis: the mean difference is 0.

    The unit is the training seed: the test asks whether *the methods*, trained from new seeds, differ on these images.
    Networks of one seed share their initial weights and the order of images, so they are paired.

    Args:
        first, second: accuracies in percent, one for each training seed, in the same order of seeds.
    Raises:
        ValueError: the lengths differ, or there are fewer than two seeds.
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(f"{len(first)} and {len(second)} accuracies are no pairs, or too few")
    differences = [a - b for a, b in zip(first, second, strict=True)]
    mean, n = statistics.fmean(differences), len(differences)
    if max(differences) - min(differences) < _SAME:
        return PairedT(mean, Interval(mean, mean), 1.0 if abs(mean) < _SAME else None, n)
    std = statistics.stdev(differences)
    interval = t_interval(mean, std, n)
    assert interval is not None
    from scipy import special

    t = mean / (std / math.sqrt(n))
    return PairedT(mean, interval, 2 * float(special.stdtr(n - 1, -abs(t))), n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the same order.

    Calling each one below ``ALPHA`` significant makes even one false claim with probability ``ALPHA`` at most. The k-th
    smallest of m p-values is multiplied by m - k + 1, raised to its predecessor's if it is smaller, and cut at 1.
    Source: Holm, Scandinavian Journal of Statistics 1979.
    """
    adjusted, least = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = least
    return adjusted
