"""What the checks of rigour raised about the networks of a row, as the board tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.leaderboard.contestants import Contestant
from harness.store.scope import Scope


@dataclass(frozen=True)
class Flag:
    """One check that raised its flag.

    Attributes:
        networks, of: on how many of the row's examined networks.
        reason: of the first of them.
    """

    mark: str
    check: str
    networks: int
    of: int
    reason: str


def flags(networks: Sequence[Contestant], scope: Scope) -> tuple[Flag, ...] | None:
    """The flags of some networks under an evaluation, in the order of the checks.

    None where no network was examined so; nor is it told that none was raised before all of them were examined.
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
    told = (Flag(mark, check, counts[check], len(examined), reason) for (mark, check), reason in reasons.items())
    return tuple(sorted(told, key=lambda flag: order[flag.check]))
