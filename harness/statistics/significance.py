"""Differences of methods over training seeds, and p-values of a family of comparisons."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.statistics.intervals import Interval, t_interval

ALPHA = 0.05
_SAME = 1e-9  # points: differences this close are equal but for rounding


@dataclass(frozen=True)
class PairedT:
    """A difference over training seeds, in points.

    Attributes:
        interval: Student's, 95 %.
        p: two-sided; None where all seeds differ by the same amount, of which Student's test knows no spread.
        n: training seeds.
    """

    difference: float
    interval: Interval
    p: float | None
    n: int


def paired_t(first: Sequence[float], second: Sequence[float]) -> PairedT:
    """Student's paired test over training seeds, of the hypothesis that the mean difference is 0.

    Its unit is the training seed: it asks whether *the methods* differ, trained anew, on these images. Networks of one
    seed share their initial weights and the order of images, so they are paired.

    Args:
        first, second: accuracies in percent, one a training seed, in the same order of seeds; two or more.
    Raises:
        ValueError: other lengths, or fewer than two seeds.
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
    """Adjusted p-values, in the same order: among those below ``ALPHA`` any is false with chance ``ALPHA`` at most.

    The k-th smallest of m p-values is multiplied by m - k + 1; none becomes smaller than one before it, or above 1.
    Source: Holm, Scandinavian Journal of Statistics 1979.
    """
    adjusted, least = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = least
    return adjusted
