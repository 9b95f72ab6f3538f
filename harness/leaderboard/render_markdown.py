"""The leaderboard as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from harness.leaderboard.board import Board
from harness.leaderboard.cells import cells, flag_lines, header, heading, legend, notes, spread_lines


def render_markdown(boards: Sequence[Board]) -> str:
    """One table for each board, under a line that says what its rows share."""
    parts = []
    for board in boards:
        table = markdown_table(header(board), [cells(board, row, " ") for row in board.rows])
        parts.extend([f"**{heading(board)}**", table, *spread_lines(board), *flag_lines(board)])
    return "\n\n".join([*parts, *legend(boards), *notes(boards)])


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = (map(_escaped, row) for row in (header, ["---"] * len(header), *rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
