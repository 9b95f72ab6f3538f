"""A column of a board: the accuracy under one attack, or in the worst case over all attacks of the protocol."""

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
"""Evaluation's number -> one byte a test image: 1 where the network is right under the attack, else 0."""

Shared = Sequence[tuple[EvaluationRecord, EvaluationRecord]]
"""Evaluations of two networks, paired: both of a pair have the same attack and the same attack seed."""


@dataclass(frozen=True)
class Column:
    """An attack, or the worst case, on certain test images."""

    name: str
    attacks: Mapping[str, str]  # attack -> SHA-256 of its settings; for the worst case all attacks of the protocol
    images: Images

    @property
    def examples(self) -> int:
        """How many test images are attacked."""
        return self.images.count

    def evaluations(self, network: Contestant) -> dict[str, list[EvaluationRecord]]:
        """Each attack's complete evaluations, in the order of their attack seeds."""
        complete = [e for e in network.checkpoint.evaluations if e.complete and e.images == self.images]
        complete.sort(key=lambda e: e.seed)
        return {
            attack: [e for e in complete if (e.attack, e.settings_sha256) == (attack, sha256)]
            for attack, sha256 in self.attacks.items()
        }

    def figure(self, evaluations: Sequence[EvaluationRecord], verdicts: VerdictsById) -> float:
        """The median over attack seeds; for the worst case, the share of images right under every evaluation. Percent.

        Each attack or seed more can only lower the worst case: compare worst cases of equally many evaluations alone.
        """
        if self.name != WORST_CASE:
            return statistics.median(e.percent for e in evaluations)
        return 100 * robust_under_every([verdicts[e.id] for e in evaluations]).count(1) / self.examples

    def right(self, evaluations: Sequence[EvaluationRecord], verdicts: VerdictsById) -> list[bytes]:
        """The verdicts for each attack seed; for the worst case those under every evaluation at once."""
        held = [verdicts[e.id] for e in evaluations]
        return [robust_under_every(held)] if self.name == WORST_CASE else held

    def in_common(self, one: Contestant, other: Contestant) -> Shared:
        """Pairs of evaluations with the same attack and seed; empty if an attack of the column has no such pair."""
        ours, theirs = self.evaluations(one), self.evaluations(other)
        pairs = [[(e, f) for e in ours[attack] for f in theirs[attack] if e.seed == f.seed] for attack in self.attacks]
        return [pair for of_attack in pairs for pair in of_attack] if all(pairs) else []
