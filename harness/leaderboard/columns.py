"""A column of a board: one attack's accuracy, or the worst case over all of them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from harness.evaluation.paired import robust_under_every
from harness.leaderboard.contestants import Contestant
from harness.store.records import EvaluationRecord

WORST_CASE = "worst_case"
TITLES = {WORST_CASE: "worst case"}

Verdicts = Mapping[int, bytes]
"""Evaluation -> one byte a test image: 1 where the network is right under the attack."""


@dataclass(frozen=True)
class Column:
    """What a figure is about.

    Attributes:
        attacks: attack -> SHA-256 of its settings; one, or for the worst case all of the protocol's.
        examples: how many test images, the first of the data set.
    """

    name: str
    attacks: Mapping[str, str]
    examples: int

    def evaluations(self, network: Contestant) -> dict[str, list[EvaluationRecord]]:
        """Each attack's complete evaluations, in the order of their attack seeds."""
        return {
            attack: sorted(
                (
                    e
                    for e in network.checkpoint.evaluations
                    if (e.attack, e.settings_sha256, e.examples) == (attack, sha256, self.examples) and e.complete
                ),
                key=lambda e: e.seed,
            )
            for attack, sha256 in self.attacks.items()
        }

    def robust(self, network: Contestant, verdicts: Verdicts, seeds: Mapping[str, int] | None = None) -> bytes | None:
        """Which images the network has right under every attack of the column and every attack seed.

        Args:
            seeds: attack -> how many of its seeds count, the first ones; None: all.
        Returns:
            one byte an image; None where an attack has no complete evaluation.
        """
        held = self.evaluations(network)
        if not all(held.values()):
            return None
        chosen = [e for attack, es in held.items() for e in es[: seeds[attack] if seeds else None]]
        return robust_under_every([verdicts[e.id] for e in chosen])

    def accuracy(self, network: Contestant, verdicts: Verdicts) -> float | None:
        """One network's figure in percent: the median over attack seeds, or the share that is robust in the worst case.

        The worst case falls with every attack and every seed that is added: it compares between equal numbers alone.
        """
        if self.name == WORST_CASE:
            robust = self.robust(network, verdicts)
            return None if robust is None else 100 * robust.count(1) / len(robust)
        percents = [e.percent for evaluations in self.evaluations(network).values() for e in evaluations]
        return statistics.median(percents) if percents else None
