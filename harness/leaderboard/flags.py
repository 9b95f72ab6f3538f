"""The flags of a row: what the checks of rigour found on its networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.leaderboard.contestants import Contestant
from harness.store.scope import Scope
from harness.store.standing import checks_under


@dataclass(frozen=True)
class Flag:
    """A flag that one check raised on ``networks`` of the ``of`` examined networks of a row."""

    mark: str  # one character
    check: str
    networks: int
    of: int
    reason: str  # for the first flagged network


def flags(alike: Sequence[Sequence[Contestant]], scope: Scope) -> Iterator[tuple[Flag, ...] | None]:
    """The flags of each row, in the order of the checks.

    Args:
        alike: the networks of each row; all are of one store.
    Returns:
        For each row its flags. None where no network was examined in this scope, or where no flag was raised but a
        network is still to be examined.
    """
    examined = [[(n, found) for n in row if (found := n.checkpoint.raised(scope)) is not None] for row in alike]
    names = [dict.fromkeys(finding.check for _, findings in row for finding in findings) for row in examined]
    several = [n for row, raised in zip(examined, names, strict=True) if len(raised) > 1 for n, _ in row]
    made = iter(checks_under([n.checkpoint for n in several], scope))  # one check alone has no order
    for networks, row, raised in zip(alike, examined, names, strict=True):
        order = dict.fromkeys(check for _ in row for check in next(made)) if len(raised) > 1 else raised
        shown = []
        for check in order:
            hits = [finding for _, findings in row for finding in findings if finding.check == check]
            if hits:
                shown.append(Flag(hits[0].mark, check, len(hits), len(row), hits[0].reason))
        yield tuple(shown) if shown or (row and len(row) == len(networks)) else None
