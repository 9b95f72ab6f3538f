"""The rows of a board two by two: paired tests, 2x2 tables, most vulnerable images; the Pareto front; training cost."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from harness.leaderboard.board import MEASURED, Board, Row
from harness.leaderboard.columns import WORST_CASE, Column, Shared
from harness.leaderboard.contestants import Contestant
from harness.leaderboard.over_seeds import usable_pairs
from harness.leaderboard.pairs import Decision, corrected, robust_sides
from harness.leaderboard.tested import tested
from harness.site.runs import machine_of
from harness.site.snapshot import bits_on
from harness.statistics.agreement import SHARE, Agreement, most_vulnerable
from harness.statistics.paired import cross, mcnemar
from harness.store.records import RunRecord
from harness.store.store import Store
from harness.store.verdicts import VerdictsById

Document = dict[str, Any]

MOST_ROWS = 24  # of a board that are compared two by two: 276 pairs
NATURAL = "natural"


def comparison_documents(store: Store, boards: Sequence[Board]) -> list[Document]:
    """One document for each measured board of two or more ranked rows; its number counts all boards, from 1."""
    runs = {run.id: run for run in store.runs()}
    return [
        _of_board(store, board, runs) | {"board": f"board-{number}"}
        for number, board in enumerate(boards, 1)
        if board.source == MEASURED and sum(row.rank is not None for row in board.rows) > 1
    ]


def _of_board(store: Store, board: Board, runs: Mapping[int, RunRecord]) -> Document:
    ranked = [row for row in board.rows if row.rank is not None]
    rows = ranked[:MOST_ROWS]
    verdicts = bits_on(store, [network for row in rows for network in row.networks])
    return {
        "rows": len(rows),  # the first of the board
        "of": len(ranked),
        "columns": [_of_column(store, board.column(name), rows, verdicts) for name in board.columns],
        "fronts": [pareto_front(board.rows, name) for name in board.columns],
        "costs": [_cost(row, runs) for row in board.rows],
        "share": SHARE,
    }


def _of_column(store: Store, column: Column, rows: Sequence[Row], verdicts: VerdictsById) -> Document:
    places = list(combinations(range(len(rows)), 2))
    decisions = corrected([tested(rows[i], rows[j], column, verdicts) for i, j in places])
    networks = [list(_shared(rows[i], rows[j], column)) for i, j in places]
    return {
        "pairs": [_decision(decision) for decision in decisions],  # (0, 1), (0, 2), ... (1, 2), ...
        "tables": [[_table(one, other, shared, verdicts) for one, other, shared in of_pair] for of_pair in networks],
        "overlaps": list(_overlaps(store, networks)) if column.name not in (WORST_CASE, NATURAL) else None,
    }


def _decision(decision: Decision | None) -> list[Any] | None:
    if decision is None:
        return None
    interval = [decision.interval.low, decision.interval.high] if decision.interval else None
    tested = [decision.test, decision.n, decision.unit, decision.p_holm, decision.significant, decision.counts]
    return [decision.difference, interval, *tested]


def _shared(first: Row, second: Row, column: Column) -> Iterator[tuple[Contestant, Contestant, Shared]]:
    """The networks of two rows that can be paired, with the evaluations that both have."""
    for (one, other), shared in usable_pairs(first.networks, second.networks, column):
        yield one, other, shared


def _table(one: Contestant, other: Contestant, shared: Shared, verdicts: VerdictsById) -> list[Any]:
    """Training seeds of both; images that both, the first, the second, neither has right under every seed; p."""
    table = cross(*robust_sides(shared, verdicts))
    counts = [table.both, table.first_only, table.second_only, table.neither]
    return [one.train_seed, other.train_seed, *counts, mcnemar(table)]


def _overlaps(
    store: Store, pairs: Sequence[Sequence[tuple[Contestant, Contestant, Shared]]]
) -> Iterator[list[Any] | None]:
    """For each pair, how many of the most vulnerable images of one network are those of the other, too.

    The networks are those of the first training seed in common, under the first attack seed in common.
    """
    sets: dict[int, tuple[tuple[int, ...], int] | None] = {}

    def of(evaluation: int) -> tuple[tuple[int, ...], int] | None:
        if evaluation not in sets:
            margins = store.margins(evaluation)
            sets[evaluation] = (most_vulnerable(margins), len(margins)) if margins else None
        return sets[evaluation]

    for networks in pairs:
        found = [of(e.id) for e in networks[0][2][0]] if networks else [None]
        if None in found:
            yield None
        else:
            (first, examples), (second, _) = found  # type: ignore[misc]
            sides = Agreement(first, second, examples)
            yield [sides.shared, len(sides.first), examples, sides.overlap, sides.jaccard]


def pareto_front(rows: Sequence[Row], column: str) -> list[int]:
    """The places of the rows that no other row beats: at least as good in natural accuracy and here, better in one."""
    points = [(row.value(NATURAL), row.value(column)) for row in rows]

    def beaten(point: tuple[float, float]) -> bool:
        return any(
            x is not None and y is not None and x >= point[0] and y >= point[1] and (x, y) != point for x, y in points
        )

    return [i for i, (x, y) in enumerate(points) if x is not None and y is not None and not beaten((x, y))]


def _cost(row: Row, runs: Mapping[int, RunRecord]) -> list[Any] | None:
    """Seconds of training up to the checkpoint, the median over the networks; and the machine. None: not known.

    Of the checkpoint ``best`` all epochs count, as in ``harness.planning.spent``.
    """
    trained = [(runs[n.number], n.checkpoint.epoch) for n in row.networks if n.number is not None and n.number in runs]
    whole = row.checkpoint == "best"
    seconds = [
        sum(e.duration_s for e in run.epochs if whole or epoch is None or e.epoch <= epoch) for run, epoch in trained
    ]
    if not seconds or min(seconds) <= 0:
        return None
    machines = dict.fromkeys(machine_of(run) for run, _ in trained)
    return [statistics.median(seconds), next(iter(machines)) if len(machines) == 1 else "several machines"]
