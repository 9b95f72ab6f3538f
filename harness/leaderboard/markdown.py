"""The leaderboard as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from harness.leaderboard.cells import LEGEND, cells, header, notes, spread_lines
from harness.leaderboard.ranking import Board


def render_markdown(boards: Sequence[Board]) -> str:
    """One table a board, under a line that says what its rows share."""
    parts = []
    for board in boards:
        names = header(board)
        lines = [_line(names), _line(["---"] * len(names)), *(_line(cells(board, row)) for row in board.rows)]
        parts.append("\n".join([f"**{board.heading}**", "", *lines]))
        parts.extend(spread_lines(board))
    return "\n\n".join([*parts, *([LEGEND] if boards else []), *notes(boards)])


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
