"""A column of a board: the accuracy under one attack, or in the worst case over all attacks of the protocol."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from harness.errors import legible
from harness.leaderboard.contestants import Contestant
from harness.leaderboard.costs import COST_TITLES
from harness.plugin.images import Images
from harness.statistics.paired import robust_under_every
from harness.store.standing import Evaluated
from harness.store.verdicts import Bits, VerdictsById

WORST_CASE = "worst_case"
_TITLES = {WORST_CASE: "worst case"}
TAKEN = {  # titles of other columns, of a board and of the list of runs
    *(
        "rank",
        "method",
        "seed",
        "network",
        "checkpoint",
        "n",
        "networks",
        "failed",
        "flags",
        "source",
        *COST_TITLES,
        *_TITLES.values(),
    ),
    *("run", "model", "dataset", "try", "state", "figure", "images", "date", "tags"),
}

Shared = Sequence[tuple[Evaluated, Evaluated]]
"""Evaluations of two networks, paired: both of a pair have the same attack and the same attack seed."""


def title_of(column: str) -> str:
    """The title of a column that holds figures, unlike every other title: an attack may be called ``n``, too."""
    title = _TITLES.get(column) or legible(column)
    bare = title
    while bare.startswith("attack "):
        bare = bare.removeprefix("attack ")
    return f"attack {title}" if column not in _TITLES and bare in TAKEN else title


def right_under_every(verdicts: VerdictsById, evaluations: Sequence[int]) -> int:
    """How many images are right under every one of these evaluations."""
    if isinstance(verdicts, Bits):
        return verdicts.together(evaluations).bit_count()
    return robust_under_every([verdicts[number] for number in evaluations]).count(1)


@dataclass(frozen=True)
class Column:
    """An attack, or the worst case, on certain test images."""

    name: str
    attacks: Mapping[str, str]  # attack -> SHA-256 of its settings; for the worst case all attacks of the protocol
    images: Images
    _held: dict[int, tuple[Contestant, dict[str, list[Evaluated]]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )  # what ``evaluations`` found, by the network's ``id``: rows are compared in pairs, and ask again and again

    @property
    def examples(self) -> int:
        """How many test images are attacked."""
        return self.images.count

    def evaluations(self, network: Contestant) -> dict[str, list[Evaluated]]:
        """Each attack's complete evaluations, in the order of their attack seeds."""
        known, found = self._held.get(id(network), (None, {}))
        if known is not network:
            count, sample = self.images.count, self.images.sample
            found, by = {attack: [] for attack in self.attacks}, self.attacks.get
            evaluations: Sequence[Evaluated] = network.checkpoint.evaluations
            for e in sorted(evaluations, key=attrgetter("seed")):
                if e.complete and (e.examples, e.sample) == (count, sample) and by(e.attack) == e.settings_sha256:
                    found[e.attack].append(e)
            self._held[id(network)] = network, found
        return found

    def figure(self, evaluations: Sequence[Evaluated], verdicts: VerdictsById) -> float:
        """The median over attack seeds; for the worst case, the share of images right under every evaluation. Percent.

        Each attack or seed more can only lower the worst case: compare worst cases of equally many evaluations alone.
        """
        if self.name != WORST_CASE:
            return statistics.median(e.percent for e in evaluations)
        return 100 * right_under_every(verdicts, [e.id for e in evaluations]) / self.examples

    def right(self, evaluations: Sequence[Evaluated], verdicts: VerdictsById) -> list[bytes]:
        """The verdicts for each attack seed; for the worst case those under every evaluation at once."""
        held = [verdicts[e.id] for e in evaluations]
        return [robust_under_every(held)] if self.name == WORST_CASE else held

    def in_common(self, one: Contestant, other: Contestant) -> Shared:
        """Pairs of evaluations with the same attack and seed; empty if an attack of the column has no such pair."""
        ours, theirs = self.evaluations(one), self.evaluations(other)
        pairs = [[(e, f) for e in ours[attack] for f in theirs[attack] if e.seed == f.seed] for attack in self.attacks]
        return [pair for of_attack in pairs for pair in of_attack] if all(pairs) else []
