"""The columns of costs on a board, the front among its rows, and the order of the rows by cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.errors import legible
from harness.leaderboard.board import Board, Row
from harness.leaderboard.costs import COST_TITLES, Cost, Order, on_front


def priced(rows: Sequence[Row], column: str) -> list[Row]:
    """The rows, whose costs are known as far as they can be, with their points for the cost, and the front marked.

    Args:
        rows: all that compete.
        column: the one that ranks.
    """
    found = [_with_points(row, row.value(column)) for row in rows]
    for network in {row.arch_label for row in found}:
        places = [place for place, row in enumerate(found) if row.arch_label == network]
        known = [(place, found[place].value(column), found[place].cost) for place in places]
        points = [
            (place, v, c.passes) for place, v, c in known if v is not None and c is not None and c.passes is not None
        ]
        marks = on_front([(value, passes) for _, value, passes in points])
        for (place, _, _), mark in zip(points, marks, strict=True):
            cost = found[place].cost
            assert cost is not None
            found[place] = replace(found[place], cost=replace(cost, front=mark))
    return found


def _with_points(row: Row, value: float | None) -> Row:
    if row.cost is None or not row.cost.passes or value is None:
        return row
    return replace(row, cost=replace(row.cost, points=1000 * value / row.cost.passes))


def in_order(board: Board, order: Order, top: int | None) -> Board:
    """The board with the rows that are shown in another order, the best first; ranks stay those of the figures.

    Args:
        top: show so many rows, each with all of its lines; None: all.
    """
    if order == "rank":
        return board

    def key(row: Row) -> tuple[bool, float]:
        cost = row.cost
        value = None if cost is None else cost.passes if order == "passes" else cost.points
        return value is None, 0.0 if value is None else value if order == "passes" else -value

    places = sorted(range(len(board.rows)), key=lambda place: key(board.rows[place]))
    whole = {number: row.key for row in board.ranked for number in row.key}  # a line may stand for one of its networks
    row_of = {place: whole[one.key[0]] if (one := board.rows[place]).key else (place,) for place in places}
    chosen = list(dict.fromkeys(row_of[place] for place in places))[:top]
    places = [place for place in places if row_of[place] in chosen]
    rows = tuple(board.rows[place] for place in places)
    spread = tuple(board.rank_intervals[place] for place in places if board.rank_intervals)
    return replace(board, rows=rows, rank_intervals=spread, shown=len(chosen), ranking=board.ranked)


def cost_titles(board: Board) -> list[str]:
    """The titles of the columns of costs; none where nobody asked for them."""
    return [*COST_TITLES] if board.costed else []


def cost_cells(board: Board, row: Row) -> list[str]:
    """A row's texts below ``cost_titles``; ``-`` for what is unknown."""
    if not board.costed:
        return []
    cost = row.cost or Cost(None, None, ())
    return [
        "-" if cost.passes is None else f"{cost.passes:,.0f}",
        "-" if cost.points is None else f"{cost.points:.2f}",
        "-" if cost.front is None else "yes" if cost.front else "no",
        "-" if cost.seconds is None else f"{cost.seconds / 3600:.2g}",
        "; ".join(map(legible, cost.places)) or "-",
    ]
