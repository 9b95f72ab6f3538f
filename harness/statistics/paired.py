"""Paired tests: of two networks over test images, of two methods over training seeds, and of several at once.

Verdicts have one byte an image: 1 is right, 0 wrong.
"""

from __future__ import annotations

import math
import operator
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from harness.identity import digest
from harness.statistics.figures import LEVEL, Interval, deviation, t_interval

ALPHA = 0.05
RESAMPLES = 9_999
RESAMPLED_AT_ONCE = 2_000_000  # images: bounds the memory
_SAME = 1e-9  # points: differences closer than this are equal up to rounding


def robust_under_every(verdicts: Sequence[bytes]) -> bytes:
    """For each image, 1 where one network is right under every attack and seed: the bitwise AND of its verdicts.

    Raises:
        ValueError: ``verdicts`` is empty.
    """
    if not verdicts:
        raise ValueError("nothing to be robust under")
    together = reduce(operator.and_, (int.from_bytes(v) for v in verdicts))  # one large integer each: AND at once
    return together.to_bytes(len(verdicts[0]))


@dataclass(frozen=True)
class Crossed:
    """The 2x2 table of two networks' verdicts on the same images: counts."""

    both: int
    first_only: int
    second_only: int
    neither: int

    @property
    def examples(self) -> int:
        """Images in the table."""
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def first_percent(self) -> float:
        """Accuracy of the first network."""
        return 100 * (self.both + self.first_only) / self.examples

    @property
    def second_percent(self) -> float:
        """Accuracy of the second network."""
        return 100 * (self.both + self.second_only) / self.examples

    @property
    def difference(self) -> float:
        """First minus second, in points."""
        return 100 * (self.first_only - self.second_only) / self.examples


def cross(first: bytes, second: bytes) -> Crossed:
    """Count the images that both networks, only the first, only the second, or neither has right.

    Raises:
        ValueError: the two have different numbers of images, or no images.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"verdicts on {len(first)} and on {len(second)} images cannot be paired")
    both = robust_under_every((first, second)).count(1)
    one, other = first.count(1), second.count(1)
    return Crossed(both, one - both, other - both, len(first) - one - other + both)


def mcnemar(table: Crossed) -> float:
    """The two-sided p-value of McNemar's exact test.

    Null hypothesis: on an image where the networks disagree, each is right with probability 1/2. The unit is the test
    image: the test asks whether *these two networks* differ in accuracy on images of this kind. If they never disagree,
    p is 1.
    Source: McNemar, Psychometrika 1947; the exact form is the binomial test of the images on which they disagree.
    """
    disagree = table.first_only + table.second_only
    if not disagree:
        return 1.0
    from scipy import special

    tail = float(special.bdtr(min(table.first_only, table.second_only), disagree, 0.5))
    return min(1.0, 2 * tail)  # the coin is fair, so both tails are alike


def bootstrap_difference(table: Crossed, *purpose: str | int) -> Interval:
    """The percentile bootstrap interval of the difference, in points.

    Draws images with replacement, each with both networks' verdicts. The difference depends on these pairs of verdicts
    alone, so the counts in the table are enough to draw from.

    Args:
        purpose: seeds the random draws, so that the same question gets the same interval.
    """
    import numpy as np
    from scipy import stats

    pairs = np.repeat([0.0, 1.0, -1.0], [table.both + table.neither, table.first_only, table.second_only])
    drawn = stats.bootstrap(
        (pairs,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, RESAMPLED_AT_ONCE // table.examples),
        confidence_level=LEVEL,
        method="percentile",
        random_state=np.random.default_rng(int(digest(["bootstrap", *purpose])[:16], 16)),
    ).confidence_interval
    return Interval(100 * float(drawn.low), 100 * float(drawn.high))


def cross_by_class(first: bytes, second: bytes, labels: Sequence[int], classes: int) -> list[Crossed | None]:
    """One table for each class, given the class of each image; None for a class without images."""
    tables: list[Crossed | None] = []
    for wanted in range(classes):
        chosen = [i for i, label in enumerate(labels) if label == wanted]
        tables.append(cross(bytes(first[i] for i in chosen), bytes(second[i] for i in chosen)) if chosen else None)
    return tables


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
    std = deviation(differences)
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
