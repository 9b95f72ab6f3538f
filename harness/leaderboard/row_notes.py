"""Remarks on a row whose networks do not all have what the board shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.errors import listed
from harness.leaderboard.columns import Column, title_of
from harness.leaderboard.contestants import Contestant
from harness.store.standing import Evaluated

UNEVEN = "worst case: its networks differ in their attack seeds, and it falls with more"


def of_earlier(networks: Sequence[Contestant], column: Column) -> Iterator[str]:
    """Which figures of the board an earlier attempt at a training has, and the one that counts has not."""
    for network in networks:
        lacked: dict[int, list[str]] = defaultdict(list)
        held = {(one.attack, one.settings_sha256): one.run for one in network.earlier if one.images == column.images}
        for attack in column.attacks.items():
            if attack in held:
                lacked[held[attack]].append(title_of(attack[0]))
        for number, attacks in lacked.items():
            yield (
                f"run {network.number} counts in place of run {number}, an earlier attempt at the same training, and"
                f" has no figure under {listed(attacks)} yet: run the same attacks on it (without --fresh)"
            )


def of_seeds(held: Sequence[Mapping[str, Sequence[Evaluated]]], attacks: Iterable[str]) -> Iterator[str]:
    """Under which attacks the networks of a row have unequally many attack seeds: ``n`` is of the one with the fewest.

    Args:
        held: of each network its evaluations, by attack.
    """
    for attack in attacks:
        counts = [len(by[attack]) for by in held if by[attack]]
        if len({*counts}) > 1:
            several = sum(count > 1 for count in counts)
            spread = (
                f"; ± is over the seeds of {several} of its {len(counts)} networks" if several < len(counts) else ""
            )
            yield f"{title_of(attack)}: its networks have {listed([*map(str, counts)])} attack seeds{spread}"


def of_part(having: dict[str, int], networks: int) -> Iterator[str]:
    """Which figures of a row are those of a part of its networks, since the others have no verdicts there yet.

    Args:
        having: column -> how many networks have it.
    """
    for count in sorted({count for count in having.values() if 0 < count < networks}):
        columns = [title_of(column) for column, there in having.items() if there == count]
        yield f"{listed(columns)}: of {count} of its {networks} networks, since the others have no such figure yet"
