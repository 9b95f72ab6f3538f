"""The figures of two entrants over training seeds, and the rule that says whether they are paired by seed.

The rule is fixed by what was trained, never by figures: entrants are paired where they have the same network and the
same training protocol, and two training seeds in common. Networks of one seed then start from the same weights, and see
the images in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.comparison.matching import Pair
from harness.comparison.naming import Entrant
from harness.leaderboard.columns import WORST_CASE, Column, Shared
from harness.leaderboard.contestants import Contestant
from harness.leaderboard.pairs import seed_sides
from harness.runtime.provenance import looked_at
from harness.statistics.seed_sides import SeedSides
from harness.store.standing import Evaluated
from harness.store.store import Store
from harness.store.verdicts import VerdictsById


def told_of_looks(store: Store, entrants: Sequence[Entrant]) -> Iterator[str]:
    """A note where training seeds were added by looking: tests that take the seeds as they are then err more often."""
    numbers = {network.number for entrant in entrants for network in entrant.networks if network.number is not None}
    known = [found for kept in store.provenances(numbers).values() if (found := looked_at(kept)) is not None]
    if known:
        limits = " and ".join(str(limit) for limit in sorted({found.limit for found in known}))
        yield (
            f"training seeds were added by looking (harness run --until-separated {limits}): p and interval over"
            " training seeds do not keep their 5 %; that command tells what is separated"
        )


def begin_alike(one: Contestant, other: Contestant) -> bool:
    """Whether networks of one training seed are pairs: the same network, data set, and training protocol."""
    both = [(n.arch_label, n.dataset.fingerprint, n.training_sha256) for n in (one, other)]
    return one.training_sha256 is not None and both[0] == both[1]


def sides_over_seeds(
    store: Store,
    entrants: tuple[Entrant, Entrant],
    column: Column,
    usable: Sequence[tuple[Pair, Shared]],
    verdicts: VerdictsById,
) -> SeedSides | None:
    """The figures of two entrants over training seeds; None where a side has fewer than two networks to show.

    Args:
        usable: the pairs of networks of one training seed, or else of the first networks, with their evaluations.
        verdicts: of these evaluations.
    """
    of_seed = [shared for (one, other), shared in usable if one.train_seed == other.train_seed is not None]
    pairs = seed_sides(of_seed, column, verdicts)
    if pairs is not None and begin_alike(*usable[0][0]):
        return pairs
    held = [[_all(network, column) for network in entrant.networks] for entrant in entrants]
    measured = [[evaluations for evaluations in side if evaluations] for side in held]
    if min(map(len, measured)) < 2:
        return None
    common = set.intersection(*({(e.attack, e.seed) for e in evaluations} for side in measured for evaluations in side))
    if {attack for attack, _ in common} != column.attacks.keys():
        return None
    kept = [[[e for e in one if (e.attack, e.seed) in common] for one in side] for side in measured]
    wanted = {e.id for side in kept for one in side for e in one} if column.name == WORST_CASE else set()
    known = store.verdicts_of(wanted)
    first, second = (tuple(column.figure(one, known) for one in side) for side in kept)
    return SeedSides(first, second, False, pairs.in_common if pairs is not None else ())


def _all(network: Contestant, column: Column) -> list[Evaluated]:
    """The network's evaluations in the column; none where an attack of the column is missing."""
    held = column.evaluations(network)
    return [e for of_attack in held.values() for e in of_attack] if all(held.values()) else []
