"""The figures of two rows over training seeds, and the rule that says whether they are paired by seed.

The rule is fixed by what was trained, never by figures: rows are paired where they have the same network and the same
training protocol, and two training seeds in common. Networks of one seed then start from the same weights, and see the
images in the same order. Boards and comparisons follow this one rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.leaderboard.columns import Column, Shared
from harness.leaderboard.contestants import Contestant
from harness.statistics.seed_sides import SeedSides
from harness.store.standing import Evaluated
from harness.store.verdicts import VerdictsById

Pair = tuple[Contestant, Contestant]


def common_seeds(first: Sequence[Contestant], second: Sequence[Contestant]) -> list[Pair]:
    """Pairs of networks that were trained from the same seed, in the order of the seeds."""
    others = {network.train_seed: network for network in second if network.train_seed is not None}
    pairs = [(network, others[network.train_seed]) for network in first if network.train_seed in others]
    return sorted(pairs, key=lambda pair: pair[0].train_seed or 0)


def network_pairs(first: Sequence[Contestant], second: Sequence[Contestant]) -> list[Pair]:
    """Pairs of networks with the same training seed; without any, the first network of each side."""
    return common_seeds(first, second) or list(zip(first[:1], second[:1], strict=False))


def usable_pairs(
    first: Sequence[Contestant], second: Sequence[Contestant], column: Column
) -> list[tuple[Pair, Shared]]:
    """``network_pairs`` of the networks that have a figure in the column, each pair with its evaluations in common."""
    ours, theirs = ([n for n in side if all(column.evaluations(n).values())] for side in (first, second))
    return [(pair, shared) for pair in network_pairs(ours, theirs) if (shared := column.in_common(*pair))]


def begin_alike(one: Contestant, other: Contestant) -> bool:
    """Whether networks of one training seed are pairs: the same network, data set, and training protocol."""
    if one.training_sha256 is None or one.training_sha256 != other.training_sha256:
        return False
    networks = [(n.network, n.network_settings, n.code.get("network")) for n in (one, other)]
    return networks[0] == networks[1] and one.dataset.fingerprint == other.dataset.fingerprint


def sides_over_seeds(
    first: Sequence[Contestant], second: Sequence[Contestant], column: Column, verdicts: VerdictsById
) -> SeedSides | None:
    """The figures of two rows over training seeds, paired or not; None where a side has fewer than two to show.

    A figure is a network's median over attack seeds, or its worst case. Of a pair, the attack seeds count that both
    networks have. Without pairs, those that all networks of both rows have: under more attack seeds more images fall.

    Args:
        first, second: networks that share everything but the training seed; at least one a row.
        verdicts: of all evaluations of the rows in the column.
    """
    if begin_alike(first[0], second[0]):
        pairs = figures_in_common(first, second, column, verdicts)
        if len(pairs) > 1:
            return SeedSides(tuple(a for a, _ in pairs), tuple(b for _, b in pairs), True, pairs)
    sides = [[held for n in side if all((held := column.evaluations(n)).values())] for side in (first, second)]
    if min(map(len, sides)) < 2:
        return None
    networks = [held for side in sides for held in side]
    seeds = {a: set.intersection(*({e.seed for e in held[a]} for held in networks)) for a in column.attacks}
    if not all(seeds.values()):
        return None

    def figure(held: Mapping[str, Sequence[Evaluated]]) -> float:
        return column.figure([e for attack in seeds for e in held[attack] if e.seed in seeds[attack]], verdicts)

    ours, theirs = (tuple(map(figure, side)) for side in sides)
    return SeedSides(ours, theirs, False)


def figures_in_common(
    first: Sequence[Contestant], second: Sequence[Contestant], column: Column, verdicts: VerdictsById
) -> tuple[tuple[float, float], ...]:
    """The figures of both rows in percent, one pair for each training seed that both have."""
    usable = usable_pairs(first, second, column)
    of_seed = [shared for (one, other), shared in usable if one.train_seed == other.train_seed is not None]
    ours, theirs = ([column.figure([pair[side] for pair in shared], verdicts) for shared in of_seed] for side in (0, 1))
    return tuple(zip(ours, theirs, strict=True))
