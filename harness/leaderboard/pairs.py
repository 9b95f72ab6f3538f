"""Test whether two rows of a board differ significantly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.leaderboard.columns import Column, Shared
from harness.leaderboard.contestants import Contestant
from harness.leaderboard.over_seeds import sides_over_seeds, usable_pairs
from harness.statistics.figures import Interval
from harness.statistics.paired import ALPHA, Crossed, cross, holm, mcnemar, robust_under_every
from harness.statistics.seed_sides import WELCH
from harness.store.verdicts import Bits, VerdictsById

MCNEMAR: Literal["McNemar"] = "McNemar"

_FAMILY = f"Holm over the family, alpha {ALPHA:g}"
PAIRED_RULE = (
    "paired t over training seeds where both rows have 2 or more in common, else McNemar on the images of one network"
    f" each; {_FAMILY}"
)
RULE = (
    "paired t over training seeds where both rows have the same network and training protocol, and 2 or more seeds in"
    f" common; else {WELCH} over training seeds where both have 2 or more networks; else McNemar on the images of one"
    f" network each; {_FAMILY}"
)


@dataclass(frozen=True)
class Decision:
    """The test of one pair of rows.

    Attributes:
        test: paired t or Welch's t over training seeds, or McNemar over test images.
        n: number of training seeds (where the rows differ, the fewer), or of test images.
        difference: first minus second, in points.
        interval: of the difference, 95 %; None for McNemar.
        p, p_holm: before and after Holm's correction over the family of tests.
        counts: of Welch's test, the training seeds of the first and of the second row.
    """

    test: Literal["paired t", "Welch's t", "McNemar"]
    n: int
    difference: float
    interval: Interval | None
    p: float
    p_holm: float
    counts: tuple[int, int] | None = None

    @property
    def unit(self) -> str:
        """What n counts. Training seeds: the test is about the methods; test images: about two networks."""
        return "training seeds" if self.over_seeds else "test images"

    @property
    def over_seeds(self) -> bool:
        """Whether the test is over training seeds."""
        return self.test != MCNEMAR

    @property
    def over(self) -> str:
        """How many units the test is over: ``5 training seeds``, ``5 and 3 training seeds``, ``360 test images``."""
        several = self.counts is not None and len({*self.counts}) > 1
        return f"{' and '.join(map(str, self.counts or ())) if several else self.n} {self.unit}"

    @property
    def significant(self) -> bool:
        """Whether the rows differ significantly."""
        return self.p_holm < ALPHA


def rule(decisions: Iterable[Decision | None]) -> str:
    """How these pairs of rows were tested, in words. Where none was tested by Welch's test, it is left out."""
    unpaired = any(decision is not None and decision.test == WELCH for decision in decisions)
    return RULE if unpaired else PAIRED_RULE


def compare_rows(
    first: Sequence[Contestant], second: Sequence[Contestant], column: Column, verdicts: VerdictsById
) -> Decision | None:
    """Compare the networks of two rows of a board in a column, first minus second.

    With the same network and training protocol, and two or more training seeds in common: Student's paired t-test over
    these seeds. Else, with two or more networks a row: Welch's t-test over their training seeds. ``sides_over_seeds``
    has the figures of both. Otherwise, and where t is undefined since the seeds have no spread: McNemar's exact test on
    the verdicts "right under every attack seed", between the networks of the first common training seed, or each row's
    first network. Only attack seeds that both networks have count: under more attack seeds more images fall.

    Args:
        verdicts: of all evaluations of both rows in the column.
    Returns:
        None where a row has no figure in the column, or the rows have no attack seed in common.
    """
    sides = sides_over_seeds(first, second, column, verdicts)
    t = None if sides is None else sides.test()
    if t is not None and t.p is not None:
        counts = t.counts if t.test == WELCH else None
        return Decision(t.test, t.n, t.difference, t.interval, t.p, t.p, counts)
    usable = usable_pairs(first, second, column)
    if not usable:
        return None
    table = crossed(usable[0][1], verdicts)
    p = mcnemar(table)
    return Decision(MCNEMAR, table.examples, table.difference, None, p, p)


def robust_sides(shared: Shared, verdicts: VerdictsById) -> tuple[bytes, bytes]:
    """The verdicts "right under every shared evaluation" of two networks."""
    ours = robust_under_every([verdicts[e.id] for e, _ in shared])
    return ours, robust_under_every([verdicts[f.id] for _, f in shared])


def crossed(shared: Shared, verdicts: VerdictsById) -> Crossed:
    """The 2x2 table of the verdicts "right under every shared evaluation" of two networks."""
    if not isinstance(verdicts, Bits):
        return cross(*robust_sides(shared, verdicts))
    first, second = verdicts.together([e.id for e, _ in shared]), verdicts.together([f.id for _, f in shared])
    both, images = (first & second).bit_count(), verdicts.images(shared[0][0].id)
    one, other = first.bit_count(), second.bit_count()
    return Crossed(both, one - both, other - both, images - one - other + both)


def corrected(decisions: Sequence[Decision | None]) -> list[Decision | None]:
    """The decisions of a family with Holm's correction; None stays None and does not count in the family."""
    adjusted = iter(holm([decision.p for decision in decisions if decision is not None]))
    return [None if decision is None else replace(decision, p_holm=next(adjusted)) for decision in decisions]
