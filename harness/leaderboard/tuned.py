"""Rows whose settings were chosen by ``harness tune``: a note says by how many trials."""

from __future__ import annotations

from dataclasses import replace

from harness.leaderboard.board import MEASURED, Board, Row
from harness.store.store import Store

TUNED = "tuned-trials-"
"""The beginning of the tag that ``harness tune`` gives the runs of a chosen setting; the number of trials follows."""


def with_tuned(store: Store, board: Board) -> Board:
    """The board whose rows of tuned methods say so."""
    tags = store.tags_of_runs() if board.source == MEASURED else {}
    chosen = {number: tag for number, several in tags.items() for tag in several if tag.startswith(TUNED)}
    return replace(board, rows=tuple(_with_note(row, chosen) for row in board.rows)) if chosen else board


def _with_note(row: Row, chosen: dict[int, str]) -> Row:
    counts = dict.fromkeys(chosen[number].removeprefix(TUNED) for number in row.runs if number in chosen)
    if not counts:
        return row
    trials = f"{' or '.join(counts)} trial{'s' * ([*counts] != ['1'])}"
    said = f"tuned, {trials}: the settings were chosen by training images that are held out"
    return replace(row, notes=(*row.notes, said))
