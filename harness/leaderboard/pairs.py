"""Test whether two rows of a board differ significantly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.leaderboard.columns import Column, Shared
from harness.leaderboard.contestants import Contestant
from harness.statistics.figures import Interval
from harness.statistics.paired import ALPHA, Crossed, PairedT, cross, holm, mcnemar, paired_t, robust_under_every
from harness.statistics.seed_sides import SeedSides
from harness.store.verdicts import Bits, VerdictsById

PAIRED_T: Literal["paired t"] = "paired t"
MCNEMAR: Literal["McNemar"] = "McNemar"

RULE = (
    f"paired t over training seeds where both rows have 2 or more in common, else McNemar on the images of one network"
    f" each; Holm over the family, alpha {ALPHA:g}"
)


@dataclass(frozen=True)
class Decision:
    """The test of one pair of rows.

    Attributes:
        test: paired t over training seeds, or McNemar over test images.
        n: number of training seeds, or of test images.
        difference: first minus second, in points.
        interval: of the difference, 95 %; None for McNemar.
        p, p_holm: before and after Holm's correction over the family of tests.
    """

    test: Literal["paired t", "McNemar"]
    n: int
    difference: float
    interval: Interval | None
    p: float
    p_holm: float

    @property
    def unit(self) -> str:
        """What n counts. Training seeds: the test is about the methods; test images: about two networks."""
        return "training seeds" if self.test == PAIRED_T else "test images"

    @property
    def significant(self) -> bool:
        """Whether the rows differ significantly."""
        return self.p_holm < ALPHA


def common_seeds(first: Sequence[Contestant], second: Sequence[Contestant]) -> list[tuple[Contestant, Contestant]]:
    """Pairs of networks that were trained from the same seed, in the order of the seeds."""
    others = {network.train_seed: network for network in second if network.train_seed is not None}
    pairs = [(network, others[network.train_seed]) for network in first if network.train_seed in others]
    return sorted(pairs, key=lambda pair: pair[0].train_seed or 0)


def network_pairs(first: Sequence[Contestant], second: Sequence[Contestant]) -> list[tuple[Contestant, Contestant]]:
    """Pairs of networks with the same training seed; without any, the first network of each side."""
    return common_seeds(first, second) or list(zip(first[:1], second[:1], strict=False))


def compare_rows(
    first: Sequence[Contestant], second: Sequence[Contestant], column: Column, verdicts: VerdictsById
) -> Decision | None:
    """Compare the networks of two rows of a board in a column, first minus second.

    With two or more training seeds in common: Student's paired t-test over these seeds, on each network's figure (the
    median over attack seeds, or the worst case). Otherwise, and where every seed has the same difference other than 0
    (t is undefined without a spread): McNemar's exact test on the verdicts "right under every attack seed", between the
    networks of the first common training seed, or each row's first network. Only attack seeds that both networks have
    count: under more attack seeds more images fall.

    Returns:
        None where a row has no figure in the column, or the rows have no attack seed in common.
    """
    first, second = ([n for n in row if all(column.evaluations(n).values())] for row in (first, second))
    shared = [together for pair in network_pairs(first, second) if (together := column.in_common(*pair))]
    if not shared:
        return None
    t = over_training_seeds(shared, column, verdicts)
    if t is not None and t.p is not None:
        return Decision(PAIRED_T, t.n, t.difference, t.interval, t.p, t.p)
    table = crossed(shared[0], verdicts)
    p = mcnemar(table)
    return Decision(MCNEMAR, table.examples, table.difference, None, p, p)


def over_training_seeds(shared: Sequence[Shared], column: Column, verdicts: VerdictsById) -> PairedT | None:
    """Student's paired t-test of two rows' figures; None for fewer than two pairs of networks.

    Args:
        shared: for each pair of networks (one training seed), their evaluations in common.
    """
    sides = seed_sides(shared, column, verdicts)
    return None if sides is None else paired_t(sides.first, sides.second)


def seed_sides(shared: Sequence[Shared], column: Column, verdicts: VerdictsById) -> SeedSides | None:
    """The figures of two rows, one for each training seed in common; None for fewer than two pairs of networks.

    Args:
        shared: for each pair of networks (one training seed), their evaluations in common.
    """
    if len(shared) < 2:
        return None
    first, second = (
        tuple(column.figure([pair[side] for pair in of_seed], verdicts) for of_seed in shared) for side in (0, 1)
    )
    return SeedSides(first, second, True, tuple(zip(first, second, strict=True)))


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
