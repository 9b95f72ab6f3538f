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
    raised = [[finding for finding in findings if finding.status == "flagged"] for findings in examined]
    reasons = {(f.mark, f.check): f.reason for findings in reversed(raised) for f in findings}
    order = {finding.check: place for findings in examined for place, finding in enumerate(findings)}
    counts = {check: sum(any(f.check == check for f in findings) for findings in raised) for _, check in reasons}
    if not reasons and len(examined) < len(networks):
        return None
    flags_found = (Flag(mark, check, counts[check], len(examined), reason) for (mark, check), reason in reasons.items())
    return tuple(sorted(flags_found, key=lambda flag: order[flag.check]))
