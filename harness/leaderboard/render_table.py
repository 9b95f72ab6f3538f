"""The leaderboard as a rich table. Reported rows are dim and stand on boards of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from harness.leaderboard.board import REPORTED, Board
from harness.leaderboard.cells import (
    cells,
    flag_lines,
    header,
    heading,
    legend,
    notes,
    spread_lines,
    titles,
    wilson_lines,
)
from harness.leaderboard.columns import WORST_CASE

_ALWAYS = ("rank", "method")  # shown even where all rows agree
_WORDS = ("method", "network", "checkpoint")
_WORD_WIDTH = 14


def render_table(boards: Sequence[Board], console: Console) -> Iterator[RenderableType]:
    """One table for each board, then the legend and the remarks.

    A column in which all rows agree is printed once, above the table. Where the other columns do not fit, first the
    intervals move below the table; then the columns that are not figures move below the method's name; then the
    figures are split over several tables. No figure is ever cut: a cut figure would read as another number.
    """
    for board in boards:
        names = header(board)[:-1]  # the source is in the heading
        rows = [dict(zip(names, cells(board, row), strict=False)) for row in board.rows]
        common = {
            name: rows[0][name]
            for name in names
            if len({row[name] for row in rows}) == 1 and name not in (*_ALWAYS, *titles(board))
        }
        line = Text(heading(board), style="bold")
        line.append("".join(_in_words(name, value, "; ") for name, value in common.items()), style="not bold")
        yield line
        shown = [name for name in names if name not in common]
        with_intervals = [dict(zip(names, cells(board, row, "\n"), strict=False)) for row in board.rows]
        if _fits(with_intervals, shown, console):
            yield _table(board, with_intervals, shown)
        else:
            tables = [(rows, shown)]
            if not _fits(rows, shown, console):  # rich would cut figures
                attacks = [column for column in board.columns if column != WORST_CASE]
                folded = _folded(rows, shown, [*_ALWAYS, *attacks])
                first, *others = _in_parts(folded, attacks, console)
                tables = [(folded, first), *((rows, names) for names in others)]
            yield from (_table(board, texts, names) for texts, names in tables)
            yield from (Text(line) for line in wilson_lines(board))
        yield from (Text(line) for line in (*spread_lines(board), *flag_lines(board)))
    yield from (Text(line) for line in legend(boards))
    yield from (Text(note, style="dim") for note in notes(boards))


def _fits(rows: Sequence[dict[str, str]], shown: Sequence[str], console: Console) -> bool:
    return sum(_least_widths(rows, shown)) + 3 * len(shown) + 1 <= console.width


def _in_parts(rows: Sequence[dict[str, str]], figures: Sequence[str], console: Console) -> list[list[str]]:
    """Split the figures over as few tables as they fit into; each table has rank, method, and at least one figure."""
    parts = [[*_ALWAYS]]
    for name in figures:
        if len(parts[-1]) > len(_ALWAYS) and not _fits(rows, [*parts[-1], name], console):
            parts.append([*_ALWAYS])
        parts[-1].append(name)
    return parts


def _table(board: Board, rows: Sequence[dict[str, str]], shown: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for name, least in zip(shown, _least_widths(rows, shown), strict=True):
        word = name in _WORDS
        table.add_column(name, justify="left" if word else "right", no_wrap=not word, overflow="fold", min_width=least)
    style = "dim italic" if board.source == REPORTED else ""
    for row in rows:
        table.add_row(*(_cell(row[name], name in titles(board)) for name in shown), style=style)
    return table


def _cell(text: str, figure: bool) -> Text:
    if not figure:
        return Text(text)
    median, _, interval = text.partition("\n")
    return Text.assemble(median, ("\n" + interval, "dim")) if interval else Text(median)


def _least_widths(rows: Sequence[dict[str, str]], shown: Sequence[str]) -> list[int]:
    """The smallest width of each column: words may be folded, figures may not."""
    widest = [max(len(line) for row in rows for line in (name, *row[name].split("\n"))) for name in shown]
    return [min(width, _WORD_WIDTH) if name in _WORDS else width for name, width in zip(shown, widest, strict=True)]


def _folded(rows: Sequence[dict[str, str]], shown: Sequence[str], kept: Sequence[str]) -> list[dict[str, str]]:
    """The rows with the columns that are not ``kept`` written below the method's name."""
    rest = [name for name in shown if name not in kept]
    return [
        row | {"method": "\n".join([row["method"], *(_in_words(name, row[name], "  ") for name in rest)])}
        for row in rows
    ]


def _in_words(name: str, value: str, before: str) -> str:
    if value == "-":
        return ""
    phrases = {
        "worst case": f"worst {value}",
        "n": f"n = {value} attack seeds",
        "networks": f"{value} network(s) a row",
    }
    return before + phrases.get(name, f"{name} {value}")
