"""Two networks on the same test images, image by image. Verdicts have one byte an image: 1 is right, 0 wrong."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from harness.identity import digest
from harness.statistics.intervals import LEVEL, Interval

RESAMPLES = 9_999
RESAMPLED_AT_ONCE = 2_000_000  # images: bounds the memory


def robust_under_every(verdicts: Sequence[bytes]) -> bytes:
    """For each image, 1 where it is right under every attack and seed: the bitwise AND of all verdicts.

    Args:
        verdicts: of one network on the same images, one entry for each attack and seed.
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
    """One table for each class; None for a class without images.

    Args:
        labels: the class of each image, in the order of the verdicts.
    """
    tables: list[Crossed | None] = []
    for wanted in range(classes):
        chosen = [i for i, label in enumerate(labels) if label == wanted]
        tables.append(cross(bytes(first[i] for i in chosen), bytes(second[i] for i in chosen)) if chosen else None)
    return tables
