"""The leaderboard as CSV: one line for each figure, not rounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from harness.leaderboard.board import Board
from harness.leaderboard.csv_cells import csv_cell
from harness.leaderboard.tidy import COLUMNS, tidy_rows


def render_csv(boards: Sequence[Board]) -> str:
    """A header, then one line for each figure."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in tidy_rows(boards))
    return text.getvalue().rstrip("\n")
