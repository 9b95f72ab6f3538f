"""The leaderboard as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from harness.leaderboard.board import Board, Row
from harness.leaderboard.cells import cells, flag_lines, header, heading, legend, notes, spread_lines, wilson_text


def render_markdown(boards: Sequence[Board]) -> str:
    """One table for each board, under a line that says what its rows share."""
    parts = []
    for board in boards:
        names = header(board)
        lines = [_line(names), _line(["---"] * len(names)), *(_line(_with_intervals(board, row)) for row in board.rows)]
        parts.append("\n".join([f"**{heading(board)}**", "", *lines]))
        parts.extend([*spread_lines(board), *flag_lines(board)])
    return "\n\n".join([*parts, *legend(boards), *notes(boards)])


def _with_intervals(board: Board, row: Row) -> list[str]:
    """The row's cells, each figure with its Wilson interval."""
    texts = cells(board, row)
    for place, column in enumerate(board.columns, start=header(board).index("checkpoint") + 1):
        texts[place] = f"{texts[place]} {wilson_text(board, row.metrics[column])}".rstrip()
    return texts


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
