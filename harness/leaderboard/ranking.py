"""The ranking: figures that can be compared, side by side; figures that cannot, apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import UnknownName
from harness.evaluation.images import Images
from harness.evaluation.statistics import Figure, Spread, summarise
from harness.identity import canonical_json
from harness.leaderboard.columns import WORST_CASE, Column, Verdicts
from harness.leaderboard.contestants import Contestant, contestants, label, newest, with_code, with_departures
from harness.leaderboard.flags import Flag, flags
from harness.leaderboard.pairs import Decision, against_best
from harness.leaderboard.places import places
from harness.reference import ReportedFigure, notes_of
from harness.rigour.scope import Scope
from harness.store.records import ProtocolRecord
from harness.store.store import Store

MEASURED, REPORTED = "measured", "reported"


@dataclass(frozen=True)
class Row:
    """One method on one network at one checkpoint.

    Attributes:
        settings, arch_settings: those that are not the defaults.
        wrappers: what wraps the update, each with its settings that are not the defaults.
        train_seeds: networks behind the row.
        metrics: attack -> figure, in the protocol's order, and the worst case; None where there is none yet.
        rank: among the rows of its board; None without a figure to rank by.
        runs: numbers of the runs behind it.
        unseeded: attacks that draw nothing, so that one seed is all there is.
        networks: what the row was made of.
        trained_here: False for a model from elsewhere, which was not trained under the protocol.
        flags: what checks of rigour raised; None where none were made.
        worst_case_seeds: attack -> seeds in the worst case, of the network that has fewest.
        versus_best: the comparison with the board's best row; None for that row, and where there is none.
        code: what of the networks' code does not ship, or has changed since it did; see ``RunSpec.code``.
        means: attack -> mean over training seeds, where a publication gives that and no median: ``metrics`` has None.
    """

    method: str
    settings: dict[str, Any]
    wrappers: tuple[str, ...]
    arch: str
    arch_settings: dict[str, Any]
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
    code: dict[str, str] = field(default_factory=dict)
    means: dict[str, Spread] = field(default_factory=dict)

    def value(self, column: str) -> float | None:
        """What ranks the row: its median, or the mean that a publication gives instead."""
        figure, mean = self.metrics.get(column), self.means.get(column)
        return figure.median if figure else mean.mean if mean else None

    @property
    def tied(self) -> bool:
        """Whether the row is not told apart from the best one."""
        return self.versus_best is not None and not self.versus_best.significant

    @property
    def label(self) -> str:
        """The method with its code, what departs from its defaults, and what wraps it."""
        return label(with_code(self.method, self.code.get("method")), self.settings, self.wrappers)

    @property
    def arch_label(self) -> str:
        """The network with its code, and what departs from its defaults."""
        return with_departures(with_code(self.arch, self.code.get("network")), self.arch_settings)


@dataclass(frozen=True)
class Board:
    """Rows that may be ranked together: one data set, one source, one protocol, one set of examples.

    Attributes:
        fingerprint: of the protocol; for reported rows the paper's name stands for it.
        aliases: fingerprints of other protocols of the same training and attacks, such as one with more steps for
            attacks that take none.
        images: which test images were attacked; None where a paper does not say.
        total: how many test images the data set has; None: those that were attacked.
        columns: what the rows have figures of: the protocol's attacks, and for measured rows the worst case.
        attacks: attack -> SHA-256 of its settings, of measured rows.
        scope: what checks of rigour depend on; None for reported rows.
        ranked_by: the column that the ranks are of.
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

    @property
    def epsilon(self) -> float | None:
        """The radius of the attacks' ball; None where a paper does not say."""
        return None if self.scope is None else self.scope.epsilon

    def column(self, name: str) -> Column:
        """A column of a measured board."""
        attacks = self.attacks if name == WORST_CASE else {name: self.attacks[name]}
        return Column(name, attacks, self.images or Images(0))

    def tied(self, row: Row) -> bool | None:
        """Whether the row is not told apart from the best one; None where that is not known."""
        compared = row is self.rows[0] or row.versus_best is not None
        return row.tied if self.source == MEASURED and row.rank is not None and compared else None

    @property
    def heading(self) -> str:
        """What the rows have in common, in one line."""
        if self.source == REPORTED:
            return f"{self.dataset}, reported by {self.protocol} (not measured here)"
        images = self.images.told(self.total or self.images.count) if self.images is not None else ""
        return f"{self.dataset}, measured, protocol {self.protocol} [{self.fingerprint[:8]}], {images}"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which rows to show, and by which column to rank them; None: all, and each board's last attack."""

    dataset: str | None = None
    arch: str | None = None
    protocol: str | None = None
    checkpoint: str | None = None
    sort: str | None = None
    runs: frozenset[int] | None = None

    def takes(self, board: Board, row: Row) -> bool:
        """Whether the row is wanted."""
        return (
            self.dataset in (None, board.dataset)
            and self.arch in (None, row.arch)
            and self.checkpoint in (None, row.checkpoint)
            and (self.protocol in (None, board.protocol) or self._fingerprint_of(board))
            and (self.runs is None or not self.runs.isdisjoint(row.runs))
        )

    def _fingerprint_of(self, board: Board) -> bool:
        return any(known.startswith(str(self.protocol)) for known in (board.fingerprint, *board.aliases))


def boards(store: Store, selection: Selection | None = None) -> list[Board]:
    """Every board, measured ones first, with the selected rows, each ranked.

    Raises:
        UnknownName: ``sort`` is no column of any board.
    """
    selection = selection or Selection()
    networks = list(contestants(newest(store.runs()), store.models()))
    verdicts = read_verdicts(store, networks)
    everything = [*_measured(networks, store.protocols(), verdicts), *_reported(store.reported())]
    columns = {column for board in everything for column in board.columns}
    if selection.sort is not None and selection.sort not in columns:
        raise UnknownName("column", selection.sort, columns)
    chosen = []
    for board in everything:
        rows = [row for row in board.rows if selection.takes(board, row)]
        attacks = [column for column in board.columns if column != WORST_CASE]
        column = selection.sort if selection.sort in board.columns else attacks[-1]
        if rows:
            ranked = replace(board, rows=_ranked(rows, column), ranked_by=column)
            chosen.append(_with_ties(ranked, verdicts) if board.source == MEASURED else ranked)
    return chosen


def read_verdicts(store: Store, networks: Iterable[Contestant]) -> Verdicts:
    """The verdicts of every complete evaluation of some networks."""
    wanted = {e.id for network in networks for e in network.checkpoint.evaluations if e.complete}
    return store.verdicts_of(wanted) if wanted else {}


def _ranked(rows: Sequence[Row], column: str) -> tuple[Row, ...]:
    """Highest figure first; equal ones share a rank; rows without a figure come last, without one."""
    values = [row.value(column) for row in rows]
    ranked = [
        replace(row, rank=None if value is None else 1 + sum(v is not None and v > value for v in values))
        for row, value in zip(rows, values, strict=True)
    ]
    return tuple(sorted(ranked, key=lambda row: (row.rank is None, row.rank, row.label)))


def _with_ties(board: Board, verdicts: Verdicts) -> Board:
    """The board with each row's comparison with the first of its rows; rows without a rank have none."""
    placed = [row for row in board.rows if row.rank is not None]
    if len(placed) < 2:
        return board
    decisions = against_best([row.networks for row in placed], board.column(board.ranked_by), verdicts)
    compared = [replace(row, versus_best=decision) for row, decision in zip(placed, decisions, strict=True)]
    return replace(board, rows=(*compared, *board.rows[len(placed) :]))


def _measured(
    networks: Sequence[Contestant], protocols: Sequence[ProtocolRecord], verdicts: Verdicts
) -> Iterator[Board]:
    equal: dict[str, list[ProtocolRecord]] = defaultdict(list)
    for record in protocols:
        equal[canonical_json([record.training_sha256, list(record.attacks.items())])].append(record)
    known = {alike[-1].fingerprint: alike for alike in equal.values()}
    for (fingerprint, _, images), members in places(networks, [alike[-1] for alike in equal.values()]).items():
        *others, protocol = known[fingerprint]
        board = Board(
            dataset=members[0].dataset.name,
            source=MEASURED,
            protocol=protocol.name,
            fingerprint=fingerprint,
            images=images,
            total=members[0].dataset.test_examples,
            columns=(*protocol.attacks, WORST_CASE),
            attacks=dict(protocol.attacks),
            aliases=tuple(other.fingerprint for other in others),
            scope=Scope.of_document(protocol.document, protocol.attacks, images.count, images.sample),
        )
        kin: dict[str, list[Contestant]] = defaultdict(list)
        for network in members:
            kin[network.kin].append(network)
        yield replace(board, rows=tuple(_row(alike, board, verdicts) for alike in kin.values()))


def _row(networks: Sequence[Contestant], board: Board, verdicts: Verdicts) -> Row:
    """The row of networks that share all but the training seed."""
    one = networks[0]
    metrics: dict[str, Figure | None] = {}
    unseeded = set()
    for attack in board.attacks:
        held = [board.column(attack).evaluations(network)[attack] for network in networks]
        metrics[attack] = summarise([[e.percent for e in evaluations] for evaluations in held])
        if any("block_size" not in e.settings for evaluations in held for e in evaluations):
            unseeded.add(attack)
    column = board.column(WORST_CASE)
    worst = [column.accuracy(network, verdicts) for network in networks]
    complete = [network for network, percent in zip(networks, worst, strict=True) if percent is not None]
    counts = [{attack: len(es) for attack, es in column.evaluations(network).items()} for network in complete]
    fewest = {attack: min(count[attack] for count in counts) for attack in board.attacks if counts}
    summary = summarise([[percent] for percent in worst if percent is not None])
    drawing = [n for attack, n in fewest.items() if attack not in unseeded]
    metrics[WORST_CASE] = replace(summary, n=min(drawing, default=1)) if summary else None
    uneven = any(count != fewest for count in counts)
    return Row(
        method=one.method,
        settings=one.settings,
        wrappers=one.wrappers,
        arch=one.arch,
        arch_settings=one.arch_settings,
        checkpoint=one.checkpoint.name,
        train_seeds=len(networks) if one.number is not None else None,
        metrics=metrics,
        notes=("worst case: its networks differ in their attack seeds, and it falls with more",) if uneven else (),
        runs=tuple(network.number for network in networks if network.number is not None),
        unseeded=frozenset(unseeded),
        networks=tuple(networks),
        trained_here=one.training_sha256 is not None,
        flags=None if board.scope is None else flags(networks, board.scope),
        worst_case_seeds=fewest,
        code=one.code,
    )


def _reported(figures: Iterable[ReportedFigure]) -> Iterator[Board]:
    cells: dict[tuple[str, str, str], dict[tuple[str, str, str], list[ReportedFigure]]] = defaultdict(dict)
    for f in figures:
        cells[f.dataset, f.paper, f.statistic].setdefault((f.method, f.network, f.checkpoint), []).append(f)
    for (dataset, paper, _), groups in cells.items():
        columns = tuple(dict.fromkeys(f.metric for group in groups.values() for f in group))
        rows = tuple(
            Row(
                method=method,
                settings={},
                wrappers=(),
                arch=arch,
                arch_settings={},
                checkpoint=checkpoint,
                train_seeds=max((f.mean.n for f in group if f.mean), default=None),
                metrics=dict.fromkeys(columns) | {f.metric: f.figure for f in group},
                means={f.metric: f.mean for f in group if f.mean},
                notes=notes_of(group),
                unseeded=frozenset(f.metric for f in group if f.std_percent is None),
            )
            for (method, arch, checkpoint), group in groups.items()
        )
        yield Board(dataset, REPORTED, paper, paper, None, columns, rows)
