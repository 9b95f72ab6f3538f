"""Boards (rows that may be ranked together), and the selection of boards and rows to show."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from harness.errors import SettingError, legible
from harness.leaderboard.choice import Chosen
from harness.leaderboard.columns import WORST_CASE, Column
from harness.leaderboard.contestants import Contestant, Trained
from harness.leaderboard.costs import Cost
from harness.leaderboard.failed_seeds import FailedSeeds, RowlessMethod
from harness.leaderboard.flags import Flag
from harness.leaderboard.pairs import Decision
from harness.leaderboard.varied import Varied, varied_settings
from harness.plugin.images import Images
from harness.statistics.figures import Figure, Spread
from harness.statistics.resampled import RankInterval
from harness.store.scope import Scope

MEASURED, REPORTED = "measured", "reported"
_DIGITS = 9  # decimals of a percentage that ranks


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
        not_judged: where the check ``autoattack-gap`` had no baseline on the board to judge by; at most one.
        unchecked: checks that were made on other rows of the board, and not on each examined network of this one.
        worst_case_seeds: attack -> its seeds in the worst case, of the network that has the fewest.
        versus_best: the comparison with the board's best row; None for the best row itself, and where none is possible.
        means: attack -> mean over training seeds, where a publication gives a mean and no median; ``metrics`` is None
            there.
        best: whether this is the board's best row, with which the others are compared.
        train_seed: of the one network of the row where a board has one line a training seed; rank and ties are then
            those of the row over all its training seeds.
        failed: the training seeds that failed; None for a model from elsewhere, and where a publication does not say.
            On the line of one training seed, those of the row over all its training seeds.
        chosen: of the checkpoint ``best``, what chose it; None for the others.
        cost: what its trainings cost; None where nobody asked, and of a model from elsewhere.
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
    not_judged: tuple[Flag, ...] = ()
    unchecked: tuple[str, ...] = ()
    worst_case_seeds: dict[str, int] = field(default_factory=dict)
    versus_best: Decision | None = None
    means: dict[str, Spread] = field(default_factory=dict)
    best: bool = False
    train_seed: int | None = None
    failed: FailedSeeds | None = None
    chosen: Chosen | None = None
    cost: Cost | None = None

    def value(self, column: str) -> float | None:
        """The figure by which the row is ranked: its median, or a publication's mean.

        It is rounded far below the weight of an image: the mean of 177 and 185 of 360 is that of 181 and 181, and in
        binary their percentages differ.
        """
        figure, mean = self.metrics.get(column), self.means.get(column)
        value = figure.median if figure else mean.mean if mean else None
        return None if value is None else round(value, _DIGITS)

    @property
    def key(self) -> tuple[int, ...]:
        """What tells a measured row from all others of its board, whatever notes it got: its checkpoints' numbers."""
        return tuple(network.checkpoint.id for network in self.networks)

    @property
    def warnings(self) -> tuple[Flag, ...]:
        """The flags that were raised, then what was not judged."""
        return (*(self.flags or ()), *self.not_judged)

    @property
    def marks(self) -> str | None:
        """The marks of the flags, and of what was not judged; empty for none, None where no checks were made."""
        return None if self.flags is None and not self.not_judged else "".join(flag.mark for flag in self.warnings)

    @property
    def tied(self) -> bool:
        """Whether the row does not differ significantly from the best row."""
        return self.versus_best is not None and not self.versus_best.significant

    @property
    def beats_best(self) -> bool:
        """Whether the row is significantly better than the best row: the test counts only what both rows share.

        The rank counts all networks of a row, and all their attack seeds; so the best row may rank first by networks
        that the other one has no partner for.
        """
        found = self.versus_best
        return found is not None and found.significant and found.difference > 0


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
        ranking: all rows that were ranked, before any was hidden; empty: the same as ``rows``.
        within: the filters, as name and value, that left rows of the board out of the ranking.
        shown: how many rows of the ranking are shown; None: all.
        dataset_fingerprint: None for reported rows.
        rank_intervals: of each row that is shown, the interval of its rank; empty where nobody asked.
        rank_unit: what these intervals are over: test images, and training seeds.
        rank_note: their level, their unit, and n; or why there are none.
        rowless: methods that have no row, since each training of theirs failed.
        costed: whether the rows have their costs.
        namesake: whether the name of the data set is that of another one, too, with other images or labels.
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
    ranking: tuple[Row, ...] = ()
    within: tuple[tuple[str, str], ...] = ()
    shown: int | None = None
    dataset_fingerprint: str | None = None
    namesake: bool = False
    rank_intervals: tuple[RankInterval | None, ...] = ()
    rank_unit: str = ""
    rank_note: str = ""
    rowless: tuple[RowlessMethod, ...] = ()
    costed: bool = False

    @property
    def ranked(self) -> tuple[Row, ...]:
        """All rows that were ranked, whether they are shown or not."""
        return self.ranking or self.rows

    @cached_property
    def ranked_rows(self) -> int:
        """How many rows have a rank; a row without a figure in the column that ranks has none."""
        return sum(row.rank is not None for row in self.ranked)

    @cached_property
    def filled(self) -> tuple[str, ...]:
        """The columns that have a figure in a row that is shown; tables leave out the others."""
        return tuple(column for column in self.columns if any(row.value(column) is not None for row in self.rows))

    @cached_property
    def varied(self) -> Varied:
        """The settings in which rows of one method differ, among all that were ranked."""
        return varied_settings(self.ranked)

    @cached_property
    def by_seed(self) -> bool:
        """Whether a row stands for the network of one training seed."""
        return any(row.train_seed is not None for row in self.rows)

    @cached_property
    def examined(self) -> bool:
        """Whether checks of rigour were made on any row that is shown."""
        return any(row.marks is not None for row in self.rows)

    @cached_property
    def differs(self) -> tuple[bool, bool]:
        """Whether the rows that were ranked differ in their network, and in their checkpoint, as tables name these."""
        networks, checkpoints = {row.arch_label for row in self.ranked}, {row.checkpoint for row in self.ranked}
        return len(set(map(legible, networks))) > 1, len(set(map(legible, checkpoints))) > 1

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
        compared = row.best or row is self.ranked[0] or row.versus_best is not None
        return row.tied if self.source == MEASURED and row.rank is not None and compared else None

    @property
    def heading(self) -> str:
        """What the rows have in common, in one line."""
        dataset, protocol = legible(self.dataset), legible(self.protocol)
        if self.source == REPORTED:
            return f"{dataset}, reported by {protocol} (not measured here)"
        images = self.images.described(self.total or self.images.count) if self.images is not None else ""
        which = f", data set [{(self.dataset_fingerprint or '')[:8]}]" if self.namesake else ""
        return f"{dataset}, measured, protocol {protocol} [{self.fingerprint[:8]}], {images}{which}"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which boards, which rows compete on them, and which of these to show; None and empty: all.

    A rank says among what it ranks. ``dataset``, ``protocol``, and ``source`` choose whole boards. ``network`` and
    ``checkpoint`` make a smaller contest, and the board's heading says so. All else only hides: ranks, ties, and the
    best row stay those of all rows that compete, and the heading says how many are hidden.

    Attributes:
        sort: the column to rank by; None: each board's last attack.
        runs: show the rows of these runs.
        methods: show the rows of these methods, with all their variants, or with these labels.
        columns: show these figures; a board that has none of them is left out.
        top: show the first rows of each board; a row that shares the last one's rank is shown, too.
        by_seed: show one line for each training seed of a row.
    """

    dataset: str | None = None
    network: str | None = None
    protocol: str | None = None
    checkpoint: str | None = None
    sort: str | None = None
    runs: frozenset[int] | None = None
    source: str | None = None
    methods: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    top: int | None = None
    by_seed: bool = False

    def __post_init__(self) -> None:
        if self.top is not None and self.top < 1:
            raise SettingError(f"--top {self.top} is refused: it must be 1 or more")

    def takes_board(self, board: Board) -> bool:
        """Whether the board is chosen."""
        return (
            self.dataset in (None, board.dataset)
            and self.source in (None, board.source)
            and (self.protocol in (None, board.protocol) or self.fingerprint_of(board))
        )

    def fingerprint_of(self, board: Board) -> bool:
        """Whether the board is chosen by a fingerprint of its protocol, and not by its name."""
        return any(known.startswith(str(self.protocol)) for known in (board.fingerprint, *board.aliases))

    def competes(self, network: str, checkpoint: str) -> bool:
        """Whether a row of that network and checkpoint is ranked."""
        return self.network in (None, network) and self.checkpoint in (None, checkpoint)

    def shows(self, row: Row) -> bool:
        """Whether to show the row, if it is ranked."""
        return (self.runs is None or not self.runs.isdisjoint(row.runs)) and self._names(row)

    def tells_of(self, rowless: RowlessMethod) -> bool:
        """Whether to say of a method that it has no row."""
        numbers = {seed.run for seed in rowless.failed.seeds}
        network = self.network in (None, rowless.trained.network)
        return network and (self.runs is None or not self.runs.isdisjoint(numbers)) and self._names(rowless.trained)

    def _names(self, one: Trained) -> bool:
        return not self.methods or not {one.method, one.label, one.short_label}.isdisjoint(self.methods)
