"""Which part of a ranked board is shown: rows and columns are hidden, and ranks and ties stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from harness.errors import did_you_mean, near_misses, visible
from harness.leaderboard.board import MEASURED, Board, Row, Selection


def narrowed(selection: Selection) -> tuple[tuple[str, str], ...]:
    """The filters that make a smaller contest, each with its value."""
    filters = (("network", selection.network), ("checkpoint", selection.checkpoint))
    return tuple((name, value) for name, value in filters if value is not None)


def shown_of(board: Board, selection: Selection) -> Board:
    """The ranked board with the rows that are to be shown, in their order."""
    rows = [row for row in board.rows if selection.shows(row)]
    if selection.top is not None and len(rows) > selection.top:
        last = rows[selection.top - 1].rank
        rows = [*rows[: selection.top], *(row for row in rows[selection.top :] if row.rank == last is not None)]
    return replace(board, rows=tuple(rows), shown=len(rows))


def with_columns(board: Board, names: Sequence[str]) -> Board:
    """The board with these columns alone, in this order; without names: with all columns."""
    if not names:
        return board
    columns = tuple(dict.fromkeys(name for name in names if name in board.columns))
    rows = tuple(
        replace(
            row,
            metrics={c: row.metrics[c] for c in columns if c in row.metrics},
            means={c: row.means[c] for c in columns if c in row.means},
        )
        for row in board.rows
    )
    return replace(board, columns=columns, rows=rows)


def no_match(everything: Iterable[Board], selection: Selection) -> str:
    """Why nothing is shown, in one line: the first filter that leaves nothing, and what there is in its place."""
    left = [(board, row) for board in everything for row in board.rows]
    filters: list[tuple[str, Sequence[str], Callable[[Board, Row], set[str]]]] = [
        ("--source", _given(selection.source), lambda board, _: {board.source}),
        ("--dataset", _given(selection.dataset), lambda board, _: {board.dataset}),
        ("--protocol", _given(selection.protocol), lambda board, _: {board.protocol}),
        ("--arch", _given(selection.network), lambda _, row: {row.network}),
        ("--checkpoint", _given(selection.checkpoint), lambda _, row: {row.checkpoint}),
        ("--method", selection.methods, lambda _, row: {row.method, row.label, row.short_label}),
        ("--columns", selection.columns, lambda board, _: set(board.columns)),
    ]
    before = ""
    for option, asked, names in filters:
        if not asked:
            continue
        said = " ".join(f"{option} {visible(name)}" for name in asked)
        there = {name: None for board, row in left for name in sorted(names(board, row))}
        if option == "--protocol":
            left = [(board, row) for board, row in left if selection.takes_board(board)]
        else:
            left = [(board, row) for board, row in left if not names(board, row).isdisjoint(asked)]
        if not left:
            if option == "--source" and asked == (MEASURED,):
                return f"no row matches {said}: nothing is measured yet; harness run trains and attacks a first network"
            near = did_you_mean(f"{option} {visible(name)}" for name in near_misses(asked[0], there, most=1))
            known = f"there are rows for {', '.join(map(visible, sorted(there)))}"
            return f"no row matches {said}{before}; {f'{near} {known}' if near else known}"
        before += f", after {said}" if not before else f", {said}"
    return "no row is left to show"


def _given(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)
