"""The flags of the checks of rigour, summarised over the networks of a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.leaderboard.contestants import Contestant
from harness.store.scope import Scope


@dataclass(frozen=True)
class Flag:
    """A flag that one check raised on ``networks`` of the ``of`` examined networks of a row.

    Attributes:
        mark: one character.
        reason: the check's reason for the first flagged network.
    """

    mark: str
    check: str
    networks: int
    of: int
    reason: str


def flags(networks: Sequence[Contestant], scope: Scope) -> tuple[Flag, ...] | None:
    """The flags of a row's networks, in the order of the checks.

    Returns:
        None where no network was examined in this scope, or where no flag was raised but a network is still to be
        examined.
    """
    examined = [found for n in networks if (found := n.checkpoint.findings(scope))]
    if not examined:
        return None
    raised = []
    for check in dict.fromkeys(finding.check for findings in examined for finding in findings):
        hits = [f for findings in examined for f in findings if (f.check, f.status) == (check, "flagged")]
        if hits:
            raised.append(Flag(hits[0].mark, check, len(hits), len(examined), hits[0].reason))
    return tuple(raised) if raised or len(examined) == len(networks) else None
