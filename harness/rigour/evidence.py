"""What a count of a few images proves: chance must raise no flag."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

CONFIDENCE = 0.95  # of the one-sided bound: a flag is raised in one direction


def lower_bound(count: int, of: int) -> float:
    """The exact one-sided lower bound of a share (Clopper and Pearson 1934); 0 if there is nothing to count.

    It is not Wilson's, whose bound for 1 of 1 is 0.27: a single image would raise a flag.
    """
    from scipy.stats import binomtest

    if of == 0:
        return 0.0
    interval = binomtest(count, of, alternative="greater").proportion_ci(CONFIDENCE, method="exact")
    return float(interval.low)


def upper_bound(count: int, of: int) -> float:
    """The exact one-sided upper bound of a share; 1 if there is nothing to count."""
    return 1.0 - lower_bound(of - count, of)


@dataclass(frozen=True)
class Excess:
    """By how much one set of images exceeds another, both of the same images: McNemar's table.

    Attributes:
        more: images only in the first set.
        less: images only in the second set.
        of: all images.
    """

    more: int
    less: int
    of: int

    @property
    def share(self) -> float:
        """The difference, as a share of all images."""
        return (self.more - self.less) / self.of

    def beyond(self, share: float, level: float = 0.01) -> bool:
        """Whether the difference exceeds ``share`` and chance (exact McNemar test, one-sided, at ``level``)."""
        from scipy.stats import binomtest

        if self.share <= share or self.more <= self.less:
            return False
        return float(binomtest(self.more, self.more + self.less, 0.5, alternative="greater").pvalue) < level


def excess(first: Tensor, second: Tensor) -> Excess:
    """The table of two ``(n,)`` bool tensors."""
    return Excess(int((first & ~second).sum()), int((second & ~first).sum()), len(first))


def points(share: float) -> str:
    """A share as percent, for a sentence."""
    return f"{100 * share:.1f}"
