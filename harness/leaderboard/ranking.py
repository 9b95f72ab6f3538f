"""The ranking. Figures that can be compared stand on one board; figures that cannot stand on different boards."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from itertools import repeat
from typing import Any

from harness.errors import UnknownName
from harness.identity import canonical_json
from harness.leaderboard.board import MEASURED, Board, Row, Selection
from harness.leaderboard.chosen import with_choices
from harness.leaderboard.columns import WORST_CASE, Column
from harness.leaderboard.contestants import Contestant, Trained, contestants
from harness.leaderboard.failed_seeds import (
    FailedSeeds,
    FailedTrainings,
    RowlessMethod,
    failed_seeds,
    with_figures,
)
from harness.leaderboard.flags import RowFlags, flags
from harness.leaderboard.pairs import corrected
from harness.leaderboard.places import places
from harness.leaderboard.reported_boards import reported_boards
from harness.leaderboard.row_notes import UNEVEN, of_earlier, of_part, of_seeds
from harness.leaderboard.showing import narrowed, shown_of, with_columns
from harness.leaderboard.superseded import without_superseded
from harness.leaderboard.tested import tested
from harness.leaderboard.tuned import with_tuned
from harness.runtime.collector import collector_paused
from harness.statistics.figures import summarise
from harness.store.records import ProtocolRecord
from harness.store.scope import Scope
from harness.store.standing import EvaluationStanding
from harness.store.store import Store
from harness.store.verdicts import Bits, VerdictsById

Kin = Sequence[Contestant]
"""The networks of one row."""

_TRAINED = tuple(shared.name for shared in fields(Trained))


def boards(store: Store, selection: Selection | None = None) -> list[Board]:
    """Every chosen board with its rows ranked, and then those hidden that are not to be shown; measured boards first.

    Raises:
        UnknownName: no board has the column ``selection.sort``, or one of ``selection.columns``.
    """
    with collector_paused():
        return _boards(store, selection or Selection())


def _boards(store: Store, selection: Selection) -> list[Board]:
    networks = list(contestants(*store.standings()))
    trainings = FailedTrainings(store.failed_trainings())
    held = list(_with_rowless(_without_rows(networks, store.protocols()), trainings.alone(networks)))
    measured = without_superseded(held, store.protocols(), selection)
    known = [*measured, *((board, ()) for board in reported_boards(store.reported()))]
    columns = {column for board, _ in known for column in board.columns}
    for name in (*([] if selection.sort is None else [selection.sort]), *selection.columns):
        if name not in columns:
            raise UnknownName("column", name, columns)
    chosen: list[Board] = []
    for board, alike in known:
        if selection.takes_board(board):
            chosen += _chosen(store, board, alike, trainings, selection)
    return [board for board in chosen if board.rows and board.columns]


def _chosen(
    store: Store, board: Board, alike: Sequence[Kin], trainings: FailedTrainings, selection: Selection
) -> Iterator[Board]:
    """A board, ranked, with the rows that are to be shown; nothing if none of its rows competes.

    Args:
        alike: the networks of each row; empty for a board that has its rows already.
        trainings: those of the store that failed.
    """
    within: tuple[tuple[str, str], ...] = ()
    competing = [kin for kin in alike if selection.competes(kin[0].network, kin[0].checkpoint.name)]
    worst = board.column(WORST_CASE)
    verdicts = _bits(store, worst, competing)
    every = len(alike) or len(board.rows)
    rows = list(_rows(competing, board, worst, verdicts, trainings=trainings))
    rows += [row for row in board.rows if selection.competes(row.network, row.checkpoint)]
    if rows:
        attacks = [column for column in board.columns if column != WORST_CASE]
        column = selection.sort if selection.sort in board.columns else attacks[-1]
        within = narrowed(selection) if len(rows) < every else ()
        ranked = replace(board, rows=_ranked(rows, column), ranked_by=column, within=within)
        done = _with_ties(ranked, verdicts) if board.source == MEASURED else ranked
        told = tuple(one for one in board.rowless if selection.tells_of(one))
        shown = shown_of(replace(done, ranking=done.rows, rowless=told), selection)
        if selection.by_seed:
            shown = replace(shown, rows=tuple(_of_each_seed(shown, worst, verdicts)))
        yield with_columns(with_tuned(store, with_choices(store, shown)), selection.columns)


def _with_rowless(
    measured: Iterable[tuple[Board, list[Kin]]], rowless: Sequence[RowlessMethod]
) -> Iterator[tuple[Board, list[Kin]]]:
    """The boards with the methods that have no row there, of the data set and the training protocol of their rows."""
    for board, alike in measured:
        trainings = {kin[0].training_sha256 for kin in alike}
        here = (r for r in rowless if r.dataset == board.dataset_fingerprint and r.training_sha256 in trainings)
        yield replace(board, rowless=tuple(here)), alike


def _measured(store: Store) -> list[tuple[Board, list[Kin]]]:
    """Every measured board, without its rows, and the networks of each row."""
    return list(_without_rows(list(contestants(*store.standings())), store.protocols()))


def _bits(store: Store, column: Column, alike: Sequence[Kin]) -> VerdictsById:
    """The verdicts of the complete evaluations of which the board's figures are made."""
    if not alike:
        return {}
    held = (column.evaluations(network) for kin in alike for network in kin)
    used = {e.id: e for by in held for evaluations in by.values() for e in evaluations}
    read = {number: (e.done, e.bits) for number, e in used.items() if isinstance(e, EvaluationStanding)}
    return Bits(read) if len(read) == len(used) else store.bits_of(used)


def unranked(store: Store) -> list[Board]:
    """Every board, its rows in no order: what there is to choose from."""
    with collector_paused():
        measured = [
            replace(board, rows=tuple(_rows(alike, board, worst, _bits(store, worst, alike))))
            for board, alike in _measured(store)
            for worst in [board.column(WORST_CASE)]
        ]
    return [*measured, *reported_boards(store.reported())]


def _of_each_seed(board: Board, column: Column, verdicts: VerdictsById) -> Iterator[Row]:
    """A row for each network of a row, with its own figures and flags, and with the rank and ties of the whole row."""
    for row in board.rows:
        trained = [network for network in row.networks if network.train_seed is not None]
        if not trained:
            yield row
        trained.sort(key=lambda network: network.train_seed or 0)
        whole = [network for ranked in board.ranked for network in ranked.networks]
        own_rows = _rows([[network] for network in trained], board, column, verdicts, whole)
        whole_row: dict[str, Any] = {
            "rank": row.rank,
            "versus_best": row.versus_best,
            "best": row.best,
            "failed": row.failed,
        }
        for network, own in zip(trained, own_rows, strict=True):
            yield replace(own, **whole_row, train_seed=network.train_seed)


def read_verdicts(store: Store, networks: Iterable[Contestant]) -> VerdictsById:
    """The verdicts of every complete evaluation of the networks."""
    wanted = {e.id for network in networks for e in network.checkpoint.evaluations if e.complete}
    return store.verdicts_of(wanted) if wanted else {}


def _ranked(rows: Sequence[Row], column: str) -> tuple[Row, ...]:
    """Rows by figure, highest first. Equal figures share a rank; rows without a figure come last and have no rank."""
    values = [row.value(column) for row in rows]
    ascending = sorted(value for value in values if value is not None)
    ranked = [
        replace(row, rank=None if value is None else 1 + len(ascending) - bisect_right(ascending, value))
        for row, value in zip(rows, values, strict=True)
    ]
    return tuple(sorted(ranked, key=lambda row: (row.rank is None, row.rank, row.label)))


def _with_ties(board: Board, verdicts: VerdictsById) -> Board:
    """The board with each ranked row compared with the best row, which is the first.

    The same data choose the best row, which favours it: a row that differs barely significantly may still be as good.
    A row that does not differ significantly is not shown to be as good: there may be too few seeds or images.
    """
    best, column = replace(board.rows[0], best=board.rows[0].rank is not None), board.column(board.ranked_by)
    ranked = [row for row in board.rows[1:] if row.rank is not None]
    decisions = corrected([tested(row, best, column, verdicts) for row in ranked])
    compared = [replace(row, versus_best=decision) for row, decision in zip(ranked, decisions, strict=True)]
    return replace(board, rows=(best, *compared, *board.rows[1 + len(ranked) :]))


def measured_boards(
    networks: Sequence[Contestant], protocols: Sequence[ProtocolRecord], verdicts: VerdictsById
) -> Iterator[Board]:
    """Every board on which one of the networks stands, its rows in no order."""
    for board, alike in _without_rows(networks, protocols):
        yield replace(board, rows=tuple(_rows(alike, board, board.column(WORST_CASE), verdicts)))


def _without_rows(
    networks: Sequence[Contestant], protocols: Sequence[ProtocolRecord]
) -> Iterator[tuple[Board, list[Kin]]]:
    """Every board on which one of the networks stands, and the networks of each of its rows."""
    equal: dict[str, list[ProtocolRecord]] = defaultdict(list)
    for record in protocols:
        parts = [record.training_sha256, list(record.wrappers.items()), list(record.attacks.items())]
        equal[canonical_json(parts)].append(record)
    known = {alike[-1].fingerprint: alike for alike in equal.values()}
    named = Counter(name for name, _ in {(network.dataset.name, network.dataset.fingerprint) for network in networks})
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
            dataset_fingerprint=members[0].dataset.fingerprint,
            namesake=named[members[0].dataset.name] > 1,
        )
        kin: dict[str, list[Contestant]] = defaultdict(list)
        for network in members:
            kin[network.kin].append(network)
        yield board, list(kin.values())


def _rows(
    alike: Sequence[Kin],
    board: Board,
    column: Column,
    verdicts: VerdictsById,
    whole: Kin | None = None,
    trainings: FailedTrainings | None = None,
) -> Iterator[Row]:
    """A row of each of these networks that share everything but the training seed.

    Args:
        column: the board's worst case.
        whole: all networks of the board; None: these.
        trainings: those of the store that failed; None: they are left out.
    """
    trainings = trainings or FailedTrainings()
    raised = flags(alike, board.scope, whole) if board.scope is not None else repeat(RowFlags(None, (), ()))
    for networks, found in zip(alike, raised, strict=board.scope is not None):
        checks = [flag.check for flag in found.raised or ()]
        failed = failed_seeds(networks, column, checks, board.scope, trainings)
        yield _row(networks, found, failed, column, verdicts)


def _row(networks: Kin, found: RowFlags, failed: FailedSeeds | None, column: Column, verdicts: VerdictsById) -> Row:
    """Make one row; the column is the board's worst case."""
    one, attacks = networks[0], column.attacks
    held = [column.evaluations(network) for network in networks]
    metrics = {attack: summarise([[e.percent for e in by[attack]] for by in held]) for attack in attacks}
    unseeded = {attack for by in held for attack, es in by.items() if any("block_size" not in e.settings for e in es)}
    complete = [by for by in held if all(by.values())]
    counts = [{attack: len(es) for attack, es in by.items()} for by in complete]
    fewest = {attack: min(count[attack] for count in counts) for attack in attacks if counts}
    summary = summarise([[column.figure([e for es in by.values() for e in es], verdicts)] for by in complete])
    drawing = [n for attack, n in fewest.items() if attack not in unseeded]
    metrics[WORST_CASE] = replace(summary, n=min(drawing, default=1)) if summary else None
    having = {**{attack: sum(bool(by[attack]) for by in held) for attack in attacks}, WORST_CASE: len(complete)}
    notes = [*of_part(having, len(held)), *of_earlier(networks, column), *of_seeds(held, attacks)]
    notes += [UNEVEN] if any(count != fewest for count in counts) else []
    return Row(
        **{name: getattr(one, name) for name in _TRAINED},
        checkpoint=one.checkpoint.name,
        train_seeds=len(networks) if one.number is not None else None,
        metrics=metrics,
        notes=tuple(notes),
        runs=tuple(network.number for network in networks if network.number is not None),
        unseeded=frozenset(unseeded),
        networks=tuple(networks),
        trained_here=one.training_sha256 is not None,
        flags=found.raised,
        not_judged=found.not_judged,
        unchecked=found.unchecked,
        worst_case_seeds=fewest,
        failed=with_figures(failed, networks, column, verdicts),
    )
