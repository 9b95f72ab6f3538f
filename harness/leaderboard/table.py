"""The leaderboard as a rich table; reported rows are dim, and in boards of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from harness.leaderboard.cells import LEGEND, cells, header, notes, spread_lines
from harness.leaderboard.ranking import REPORTED, Board

PIPE_WIDTH = 140  # where there is no terminal to fit, nothing is folded
_ALWAYS = ("rank", "method")  # shown even where all rows agree
_WORDS = ("method", "network", "checkpoint")


def print_table(boards: Sequence[Board]) -> None:
    """Print every board to standard output, as wide as the terminal."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)
    for part in render_table(boards):
        console.print(part)


def render_table(boards: Sequence[Board]) -> Iterator[RenderableType]:
    """One table a board, what its figures are, and remarks.

    A column in which all rows agree is told once, above the table, so that the figures fit a narrow terminal.
    """
    for board in boards:
        names = header(board)[:-1]  # the source is in the heading
        texts = [cells(board, row)[:-1] for row in board.rows]
        common = {
            name: column[0]
            for name, *column in zip(names, *texts, strict=True)
            if len(set(column)) == 1 and name not in (*_ALWAYS, *board.columns)
        }
        heading = Text(board.heading, style="bold")
        heading.append("".join(_told_once(name, value) for name, value in common.items()), style="not bold")
        style = "dim italic" if board.source == REPORTED else ""
        table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
        shown = [index for index, name in enumerate(names) if name not in common]
        for index in shown:
            word = names[index] in _WORDS
            table.add_column(names[index], justify="left" if word else "right", overflow="fold", no_wrap=not word)
        for row in texts:
            table.add_row(*(Text(row[index]) for index in shown), style=style)
        yield table
        yield from (Text(line) for line in spread_lines(board))
    if boards:
        yield Text(LEGEND)
    yield from (Text(note, style="dim") for note in notes(boards))


def _told_once(name: str, value: str) -> str:
    if value == "-":
        return ""
    phrases = {"n": f"; n = {value} attack seeds", "networks": f"; {value} network(s) a row"}
    return phrases.get(name, f"; {name} {value}")
