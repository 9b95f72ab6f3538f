"""Boards (rows that may be ranked together), and the selection of boards and rows to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.leaderboard.columns import WORST_CASE, Column
from harness.leaderboard.contestants import Contestant, Trained
from harness.leaderboard.pairs import Decision
from harness.plugin.images import Images
from harness.statistics.figures import Figure, Spread
from harness.store.scope import Scope

MEASURED, REPORTED = "measured", "reported"


@dataclass(frozen=True)
class Flag:
    """A flag that one check raised on ``networks`` of the ``of`` examined networks of a row."""

    mark: str  # one character
    check: str
    networks: int
    of: int
    reason: str  # for the first flagged network


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


@dataclass(frozen=True)
class Row(Trained):
    """One method on one network at one checkpoint.

    Attributes:
        train_seeds: how many networks the row summarises, one for each training seed.
        metrics: attack (in the protocol's order), then the worst case -> figure; None where there is none yet.
        rank: among the rows of the board; None without a figure to rank by.
        runs: numbers of the runs behind the row.
        unseeded: attacks that draw no random numbers, so that one seed is enough.
        trained_here: False for a model from elsewhere, which was not trained under the protocol.
        flags: flags that the checks of rigour raised; None where no checks were made.
        worst_case_seeds: attack -> its seeds in the worst case, of the network that has the fewest.
        versus_best: the comparison with the board's best row; None for the best row itself, and where none is possible.
        means: attack -> mean over training seeds, where a publication gives a mean and no median; ``metrics`` is None
            there.
    """

    checkpoint: str
    train_seeds: int | None
    metrics: dict[str, Figure | None]
    notes: tuple[str, ...] = ()
    runs: tuple[int, ...] = ()
    unseeded: frozenset[str] = frozenset()
    rank: int | None = None
    networks: tuple[Contestant, ...] = ()
    trained_here: bool = True
    flags: tuple[Flag, ...] | None = None
    worst_case_seeds: dict[str, int] = field(default_factory=dict)
    versus_best: Decision | None = None
    means: dict[str, Spread] = field(default_factory=dict)

    def value(self, column: str) -> float | None:
        """The figure by which the row is ranked: its median, or a publication's mean."""
        figure, mean = self.metrics.get(column), self.means.get(column)
        return figure.median if figure else mean.mean if mean else None

    @property
    def tied(self) -> bool:
        """Whether the row does not differ significantly from the best row."""
        return self.versus_best is not None and not self.versus_best.significant


@dataclass(frozen=True)
class Board:
    """Rows that may be ranked together: one data set, one source, one protocol, one set of examples.

    Attributes:
        fingerprint: of the protocol; for reported rows the paper's name stands for it.
        aliases: fingerprints of other protocols with the same training and the same attack settings, such as a protocol
            with another number of steps where no attack takes steps.
        images: which test images were attacked; None where a paper does not say.
        total: how many test images the data set has; None: as many as were attacked.
        columns: the protocol's attacks and, for measured rows, the worst case.
        attacks: attack -> SHA-256 of its settings; empty for reported rows.
        scope: the settings that the checks of rigour depend on; None for reported rows.
    """

    dataset: str
    source: str
    protocol: str
    fingerprint: str
    images: Images | None
    columns: tuple[str, ...]
    rows: tuple[Row, ...] = field(default=())
    attacks: dict[str, str] = field(default_factory=dict)
    scope: Scope | None = None
    ranked_by: str = ""
    aliases: tuple[str, ...] = ()
    total: int | None = None

    @property
    def examples(self) -> int | None:
        """How many test images were attacked; None where a paper does not say."""
        return None if self.images is None else self.images.count

    def column(self, name: str) -> Column:
        """A column of a measured board."""
        attacks = self.attacks if name == WORST_CASE else {name: self.attacks[name]}
        return Column(name, attacks, self.images or Images(0))

    def tied(self, row: Row) -> bool | None:
        """Whether the row does not differ significantly from the best row; None where no test was made."""
        compared = row is self.rows[0] or row.versus_best is not None
        return row.tied if self.source == MEASURED and row.rank is not None and compared else None

    @property
    def heading(self) -> str:
        """What the rows have in common, in one line."""
        if self.source == REPORTED:
            return f"{self.dataset}, reported by {self.protocol} (not measured here)"
        images = self.images.described(self.total or self.images.count) if self.images is not None else ""
        return f"{self.dataset}, measured, protocol {self.protocol} [{self.fingerprint[:8]}], {images}"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which rows to show (None: all), and the column to rank them by (``sort``; None: each board's last attack)."""

    dataset: str | None = None
    network: str | None = None
    protocol: str | None = None
    checkpoint: str | None = None
    sort: str | None = None
    runs: frozenset[int] | None = None

    def takes(self, board: Board, row: Row) -> bool:
        """Whether to show the row."""
        return (
            self.dataset in (None, board.dataset)
            and self.network in (None, row.network)
            and self.checkpoint in (None, row.checkpoint)
            and (self.protocol in (None, board.protocol) or self._fingerprint_of(board))
            and (self.runs is None or not self.runs.isdisjoint(row.runs))
        )

    def _fingerprint_of(self, board: Board) -> bool:
        return any(known.startswith(str(self.protocol)) for known in (board.fingerprint, *board.aliases))
