"""Two networks on the same test images, example by example. Verdicts are bytes, one an image: 1 is right."""

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
    """The verdict that an image is right under every one of some attacks, or seeds, on it.

    Raises:
        ValueError: no verdicts at all.
    """
    if not verdicts:
        raise ValueError("nothing to be robust under")
    together = reduce(operator.and_, (int.from_bytes(v) for v in verdicts))  # bytes of 0 and 1: no bit meets another's
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
    """Count the images that both networks, one of them, or none has right.

    Raises:
        ValueError: the verdicts are not on the same number of images, or on none.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"verdicts on {len(first)} and on {len(second)} images cannot be paired")
    both = robust_under_every((first, second)).count(1)
    one, other = first.count(1), second.count(1)
    return Crossed(both, one - both, other - both, len(first) - one - other + both)


def mcnemar(table: Crossed) -> float:
    """The two-sided p-value of McNemar's exact test: which network is right where they disagree is a fair coin.

    Its unit is the test image: it asks whether *these two networks* differ in accuracy on images of this kind. Where
    they disagree nowhere, p is 1.
    Source: McNemar, Psychometrika 1947; the exact form is the binomial test of the images in disagreement.
    """
    disagree = table.first_only + table.second_only
    if not disagree:
        return 1.0
    from scipy import special

    tail = float(special.bdtr(min(table.first_only, table.second_only), disagree, 0.5))
    return min(1.0, 2 * tail)  # the coin is fair, so both tails are alike


def bootstrap_difference(table: Crossed, *purpose: str | int) -> Interval:
    """The percentile bootstrap interval of the difference in points, images drawn with replacement, in pairs.

    The difference depends on the images' pairs of verdicts alone, so that the table holds all there is to draw from.

    Args:
        purpose: names the stream of random numbers, so that the same question gets the same interval.
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
    """One table a class; None for a class that none of the images has.

    Args:
        labels: of the images, in their order.
    """
    tables: list[Crossed | None] = []
    for wanted in range(classes):
        chosen = [i for i, label in enumerate(labels) if label == wanted]
        tables.append(cross(bytes(first[i] for i in chosen), bytes(second[i] for i in chosen)) if chosen else None)
    return tables
