"""Compare two rows, two runs, or all pairs of a board's rows: image by image, and over training seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from harness.comparison.added_seeds import told_of_looks
from harness.comparison.failed_sides import BothFailed, failed_notes_of, failed_sides
from harness.comparison.labels import Labels
from harness.comparison.matching import common_column
from harness.comparison.naming import Entrant
from harness.errors import legible
from harness.leaderboard.board import MEASURED, Board, Row, Selection
from harness.leaderboard.columns import WORST_CASE, Column, Shared
from harness.leaderboard.contestants import Contestant
from harness.leaderboard.failed_seeds import AT_CHANCE
from harness.leaderboard.failed_text import seed_text
from harness.leaderboard.over_seeds import Pair, common_seeds, figures_in_common, sides_over_seeds
from harness.leaderboard.pairs import Decision, corrected, robust_sides
from harness.leaderboard.ranking import boards
from harness.leaderboard.tested import tested
from harness.plugin.images import Images
from harness.runtime.collector import collector_paused
from harness.statistics.figures import Interval
from harness.statistics.paired import (
    Crossed,
    bootstrap_difference,
    cross,
    cross_by_class,
    holm,
    mcnemar,
)
from harness.statistics.seed_sides import SeedSides, SeedTest
from harness.store.records import ProtocolRecord
from harness.store.store import Store
from harness.store.verdicts import VerdictsById


@dataclass(frozen=True)
class Tested:
    """A 2x2 table and McNemar's p-value; for the table of one class, ``p_holm`` is p corrected over all classes."""

    table: Crossed
    p: float
    p_holm: float | None = None


@dataclass(frozen=True)
class NetworkComparison:
    """Two networks on the same images. The unit of inference is the test image throughout.

    Attributes:
        attack_seeds: attack -> the seeds with which both networks were attacked.
        by_seed: attack seed -> the comparison under that seed; empty for the worst case.
        every: the comparison of the verdicts "right under every attack seed".
        interval: bootstrap interval, over images, of the difference in ``every``.
        classes: class name -> ``every`` on the images of that class; None without labels.
    """

    first: Contestant
    second: Contestant
    attack_seeds: dict[str, list[int]]
    by_seed: dict[int, Tested]
    every: Tested
    interval: Interval
    classes: dict[str, Tested] | None


@dataclass(frozen=True)
class Comparison:
    """Two entrants in one column.

    Attributes:
        networks: one comparison for each training seed in common; without any in common, of each entrant's first
            network with a figure.
        sides: the figures over training seeds; None for fewer than two seeds a side.
        methods: the t-test over training seeds; None for fewer than two seeds a side.
        notes: warnings to read before the figures.
        failed: the training seeds of each entrant that failed.
        protocol: the newest one that has the column's attack settings; None if none has.
    """

    first: Entrant
    second: Entrant
    column: Column
    networks: tuple[NetworkComparison, ...]
    sides: SeedSides | None
    methods: SeedTest | None
    notes: tuple[str, ...]
    failed: BothFailed = (None, None)
    protocol: ProtocolRecord | None = None


def compare(store: Store, first: Entrant, second: Entrant, attack: str | None, labels: Labels | str) -> Comparison:
    """Compare two entrants.

    Args:
        attack: its name, or ``worst_case``; None: the last attack that both entrants have.
        labels: of the test images, for the differences by class; or the reason why they are unknown.
    Raises:
        HarnessError: the entrants were not measured on the same images by the same attack; says what differs.
    """
    common = common_column(store, first, second, attack)
    column, usable = common.column, common.pairs
    held = [column.evaluations(network) for side in (first, second) for network in side.networks]
    verdicts = store.verdicts_of({e.id for by in held for of_attack in by.values() for e in of_attack})
    networks = tuple(_networks(pair, shared, column, verdicts, labels) for pair, shared in usable)
    sides = sides_over_seeds(first.networks, second.networks, column, verdicts)
    if sides is not None and not sides.paired:  # how both go together is told of these, too
        in_common = figures_in_common(first.networks, second.networks, column, verdicts)
        sides = replace(sides, in_common=in_common)
    methods = None if sides is None else sides.test()
    unknown = [f"no differences by class: {labels}"] if isinstance(labels, str) else []
    failed = failed_sides(store, (first, second), column)
    of_seeds = failed_notes_of((first.name, second.name), failed, methods)
    looks = told_of_looks(store, (first, second)) if methods is not None else ()
    notes = (*common.notes, *of_seeds, *_notes(first, second, [pair for pair, _ in usable], methods), *looks, *unknown)
    return Comparison(first, second, column, networks, sides, methods, notes, failed, common.protocol)


def _networks(
    pair: Pair, shared: Shared, column: Column, verdicts: VerdictsById, labels: Labels | str
) -> NetworkComparison:
    one, other = pair
    seeds = {attack: [e.seed for e, _ in shared if e.attack == attack] for attack in column.attacks}
    single = column.name != WORST_CASE
    by_seed = {e.seed: _tested(cross(verdicts[e.id], verdicts[f.id])) for e, f in shared} if single else {}
    robust = robust_sides(shared, verdicts)
    every = _tested(cross(*robust))
    return NetworkComparison(
        first=one,
        second=other,
        attack_seeds=seeds,
        by_seed=by_seed,
        every=every,
        interval=bootstrap_difference(every.table, column.name, one.checkpoint.sha256, other.checkpoint.sha256),
        classes=_classes(*robust, labels, column.images) if isinstance(labels, Labels) else None,
    )


def _tested(table: Crossed) -> Tested:
    return Tested(table, mcnemar(table))


def _classes(first: bytes, second: bytes, labels: Labels, images: Images) -> dict[str, Tested]:
    of_images = [labels.labels[place] for place in images.places(labels.labels)]
    tables = cross_by_class(first, second, of_images, len(labels.names))
    tested = {name: _tested(table) for name, table in zip(labels.names, tables, strict=True) if table is not None}
    adjusted = holm([test.p for test in tested.values()])
    return {name: replace(test, p_holm=p) for (name, test), p in zip(tested.items(), adjusted, strict=True)}


def _notes(first: Entrant, second: Entrant, pairs: Sequence[Pair], methods: SeedTest | None) -> Iterator[str]:
    one, other = pairs[0]
    if one.training_sha256 != other.training_sha256:
        yield "they were trained under different protocols: a difference is not the methods' alone"
    if one.arch_label != other.arch_label:
        yield f"their networks differ, {one.arch_label} and {other.arch_label}: a difference is not the methods' alone"
    if one.checkpoint.name != other.checkpoint.name:
        yield f"their checkpoints differ, {one.checkpoint.name} and {other.checkpoint.name}"
    trained_here = one.train_seed is not None and other.train_seed is not None
    if trained_here and not common_seeds(first.networks, second.networks):
        yield "they have no training seed in common: initial weights and the order of images differ as well"
    if methods is None and len(pairs) < 2:
        yield "one network each: this shows how these two networks differ, not how the methods would if trained again"


@dataclass(frozen=True)
class Family:
    """All pairs of a board's rows in one column, best row first; Holm's correction goes over those that are tested.

    Attributes:
        pairs: by the rows' names; None where they cannot be compared, or a collapsed seed forbids the t-test.
        notes: which rows have such a seed, and whether seeds were added by looking.
    """

    board: Board
    column: Column
    pairs: dict[tuple[str, str], Decision | None]
    notes: tuple[str, ...] = ()

    @property
    def tested(self) -> list[Decision]:
        """The tests that Holm's correction goes over."""
        return [decision for decision in self.pairs.values() if decision is not None]


def rivals(store: Store, selection: Selection) -> list[tuple[Board, list[Row]]]:
    """Each measured board of two or more ranked rows, and these rows: what ``families`` compares.

    Raises:
        UnknownName: ``selection.sort`` is no column of any board.
    """
    ranked = [(board, [row for row in board.rows if row.rank is not None]) for board in boards(store, selection)]
    return [(board, rows) for board, rows in ranked if board.source == MEASURED and len(rows) > 1]


def families(store: Store, compared: Iterable[tuple[Board, list[Row]]]) -> list[Family]:
    """One family for each of some boards, which ``rivals`` gives, in the column that ranks it."""
    found = []
    for board, rows in compared:
        column = board.column(board.ranked_by)
        networks = (network for row in rows for network in row.networks)
        evaluations = (e for network in networks for es in column.evaluations(network).values() for e in es)
        verdicts = store.bits_of({e.id for e in evaluations})
        with collector_paused():
            decisions = corrected([tested(*pair, column, verdicts) for pair in combinations(rows, 2)])
            pairs = dict(zip(combinations(_names(rows), 2), decisions, strict=True))
            found.append(Family(board, column, pairs, tuple(_notes_of(store, rows, pairs))))
    return found


def _notes_of(store: Store, rows: Sequence[Row], pairs: Mapping[tuple[str, str], Decision | None]) -> Iterator[str]:
    untested = {name for names, decision in pairs.items() if decision is None for name in names}
    for name, row in zip(_names(rows), rows, strict=True):
        if name in untested and row.failed is not None and row.failed.spoils_means:
            seeds = "; ".join(seed_text(seed) for seed in row.failed.seeds if seed.how == AT_CHANCE)
            yield f"{legible(name)} has no t-test over training seeds: {seeds}"
    if any(decision is not None and decision.over_seeds for decision in pairs.values()):
        yield from told_of_looks(store, rows)


def _names(rows: Sequence[Row]) -> list[str]:
    """The rows' labels, followed by network and checkpoint where the rows differ in these.

    Rows of which nothing that is shown differs, such as those of two versions with other defaults, have their runs.
    """
    parts = [[row.label for row in rows]]
    for texts in ([row.arch_label for row in rows], [row.checkpoint for row in rows]):
        if len(set(texts)) > 1:
            parts.append(texts)
    names = [" ".join(words) for words in zip(*parts, strict=True)]
    alike = {name for name, rows_so_called in Counter(names).items() if rows_so_called > 1}
    return [
        f"{name} (run {', '.join(map(str, row.runs))})" if name in alike else name
        for name, row in zip(names, rows, strict=True)
    ]
