"""The alarm ``autoattack-gap``: a network's gap between attacks, beside that of plain adversarial training.

The verdict depends on other rows of the board, which may come later. So it is made when a board is shown, from what the
check stored of each network, and is itself not stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.events import Status
from harness.identity import canonical_json
from harness.leaderboard.contestants import Contestant
from harness.statistics.attack_gaps import (
    FEWEST,
    LEAST,
    MARK,
    BaselineGap,
    NetworkGaps,
    baseline_gap,
    flag_reason,
    worst_gap,
)
from harness.store.scope import Scope

BASELINE = "sat"  # the method that trains by plain adversarial training
NO_OBSTACLE = frozenset({"class-left-behind"})  # a flag that says nothing against a baseline's gap


@dataclass(frozen=True)
class GapVerdict:
    """The alarm on one network; ``not-applicable``: there is no baseline, and so it is not judged."""

    status: Status
    reason: str

    @property
    def mark(self) -> str:
        """The mark of the flag; empty where none is raised."""
        return MARK if self.status == "flagged" else ""


@dataclass(frozen=True)
class _Baseline:
    gap: BaselineGap | None
    missing: str  # why there is none


class GapJudge:
    """Judges the networks of one board.

    The baseline of a network are the networks of ``sat`` that share its network, wrappers, checkpoint, and code, apart
    from itself. Weight averaging alone moves the share from 5 % to 7 % on CIFAR-10, so wrappers must be equal.
    """

    def __init__(self, networks: Iterable[Contestant], scope: Scope) -> None:
        """Find the baselines.

        Args:
            networks: all of the board, whether they are shown or not.
        """
        self._scope = scope
        self._plain: dict[str, list[Contestant]] = defaultdict(list)
        self._known: dict[tuple[str, int | None], _Baseline] = {}
        for network in networks:
            if _is_plain(network):
                self._plain[_alike(network)].append(network)

    def verdict(self, network: Contestant) -> GapVerdict | None:
        """The verdict on a network; None where there is no gap to judge, for instance without AutoAttack."""
        try:
            seen = network.checkpoint.gaps(self._scope)
        except ValueError as error:
            return GapVerdict("not-applicable", f"not judged: {error}")
        if seen is None:
            return None
        if max(gap.points for gap in seen.gaps) < LEAST:
            return GapVerdict("passed", f"{seen.breaks(seen.widest)}: no attack costs {LEAST:g} points more")
        baseline = self._baseline(network)
        if baseline.gap is None:
            return GapVerdict("not-applicable", f"{seen.breaks(seen.widest)}; not judged: {baseline.missing}")
        name = "+".join((BASELINE, *network.wrappers))
        worst = worst_gap(seen, baseline.gap)
        if worst is not None:
            return GapVerdict("flagged", flag_reason(seen, worst, baseline.gap, name))
        return GapVerdict("passed", f"{seen.breaks(seen.widest)}; of {name} {baseline.gap.text}")

    def _baseline(self, network: Contestant) -> _Baseline:
        """The gap of the networks that this one is compared with."""
        if network.number is None:
            return _Baseline(None, f"a model from elsewhere has no {BASELINE} that was trained as it was")
        place, own = _alike(network), network.number if _is_plain(network) else None
        if (place, own) not in self._known:
            others = [other for other in self._plain.get(place, ()) if other.number != own]
            self._known[place, own] = self._of_networks(others, network, own is not None)
        return self._known[place, own]

    def _of_networks(self, others: Sequence[Contestant], network: Contestant, itself: bool) -> _Baseline:
        name = "+".join((BASELINE, *network.wrappers))
        if not others and itself:
            return _Baseline(None, f"it is the only {name}, with which others are compared")
        if not others:
            return _Baseline(None, f"this board has no {name} of the same network and checkpoint to compare with")
        gaps: list[NetworkGaps] = []
        flagged: dict[str, None] = {}
        for other in others:
            raised = {flag.check: None for flag in other.checkpoint.raised(self._scope) or ()}
            against = [check for check in raised if check not in NO_OBSTACLE]
            flagged |= dict.fromkeys(against)
            seen = None if against else _gaps_or_none(other, self._scope)
            gaps += [seen] if seen is not None else []
        found = baseline_gap(gaps)
        if found is not None:
            return _Baseline(found, "")
        if flagged and not gaps:
            return _Baseline(None, f"{name}, with which it would be compared, is itself flagged ({', '.join(flagged)})")
        return _Baseline(None, f"of {name} no gap is known of {FEWEST} images or more")


def _gaps_or_none(network: Contestant, scope: Scope) -> NetworkGaps | None:
    try:
        return network.checkpoint.gaps(scope)
    except ValueError:  # it is told of that network itself
        return None


def _is_plain(network: Contestant) -> bool:
    """Whether it was trained by ``sat`` as it ships, and not by an edited one, or one with other settings."""
    code = network.code.get("method", "version")
    return network.number is not None and network.method == BASELINE and not network.settings and code[:7] == "version"


def _alike(network: Contestant) -> str:
    """What a network and its baseline share, apart from the board."""
    code = {part: value for part, value in network.code.items() if part != "method"}
    parts = [network.network, network.network_settings, list(network.wrappers), network.checkpoint.name, code]
    return canonical_json(parts)
