"""The leaderboard as CSV: one line for each figure, not rounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from harness.leaderboard.board import Board
from harness.leaderboard.csv_cells import csv_cell, csv_cells
from harness.leaderboard.tidy import COLUMNS, cost_columns, tidy_rows, varied_columns


def render_csv(boards: Sequence[Board]) -> str:
    """A header, then one line for each figure."""
    text = io.StringIO()
    names = (*COLUMNS, *varied_columns(boards), *cost_columns(boards))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writerow(dict(zip(names, csv_cells(names), strict=True)))
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in tidy_rows(boards))
    return text.getvalue().rstrip("\n")
