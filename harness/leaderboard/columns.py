"""A column of a board: one attack's accuracy, or the worst case over all of them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.leaderboard.contestants import Contestant
from harness.plugin.images import Images
from harness.statistics.paired import robust_under_every
from harness.store.records import EvaluationRecord

WORST_CASE = "worst_case"
TITLES = {WORST_CASE: "worst case"}

VerdictsById = Mapping[int, bytes]
"""Evaluation -> one byte a test image: 1 where the network is right under the attack."""

Shared = Sequence[tuple[EvaluationRecord, EvaluationRecord]]
"""Evaluations of two networks, in pairs of the same attack and attack seed."""


@dataclass(frozen=True)
class Column:
    """What a figure is about.

    Attributes:
        attacks: attack -> SHA-256 of its settings; one, or for the worst case all of the protocol's.
        images: which test images.
    """

    name: str
    attacks: Mapping[str, str]
    images: Images

    @property
    def examples(self) -> int:
        """How many test images."""
        return self.images.count

    def evaluations(self, network: Contestant) -> dict[str, list[EvaluationRecord]]:
        """Each attack's complete evaluations, in the order of their attack seeds."""
        return {
            attack: sorted(
                (
                    e
                    for e in network.checkpoint.evaluations
                    if (e.attack, e.settings_sha256, e.images) == (attack, sha256, self.images) and e.complete
                ),
                key=lambda e: e.seed,
            )
            for attack, sha256 in self.attacks.items()
        }

    def accuracy(self, network: Contestant, verdicts: VerdictsById) -> float | None:
        """One network's figure in percent; None where it lacks an attack."""
        held = self.evaluations(network).values()
        return self.figure([e for several in held for e in several], verdicts) if all(held) else None

    def figure(self, evaluations: Sequence[EvaluationRecord], verdicts: VerdictsById) -> float:
        """The median over attack seeds, or for the worst case the share that is right under every evaluation.

        The worst case falls with every attack and every seed that is added: it compares between equal numbers alone.
        """
        if self.name != WORST_CASE:
            return statistics.median(e.percent for e in evaluations)
        return 100 * robust_under_every([verdicts[e.id] for e in evaluations]).count(1) / self.examples

    def in_common(self, one: Contestant, other: Contestant) -> Shared:
        """Evaluations of two networks by the same attack with the same seed; none where they lack an attack."""
        ours, theirs = self.evaluations(one), self.evaluations(other)
        pairs = {
            attack: [(e, f) for e in ours[attack] for f in theirs[attack] if e.seed == f.seed]
            for attack in self.attacks
        }
        return [pair for several in pairs.values() for pair in several] if all(pairs.values()) else []
