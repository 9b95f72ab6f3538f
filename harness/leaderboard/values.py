"""The leaderboard as CSV: one line a figure, unrounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from harness.leaderboard.ranking import Board

COLUMNS = (
    *("dataset", "source", "protocol", "fingerprint", "examples", "rank", "method", "network", "checkpoint"),
    *("attack", "median_percent", "std_percent", "n", "networks", "train_mean_percent", "train_std_percent"),
)


def render_csv(boards: Sequence[Board]) -> str:
    """A header and one line for each figure that there is."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for board in boards:
        common = (board.dataset, board.source, board.protocol, board.fingerprint, board.examples)
        for row in board.rows:
            for attack, figure in row.metrics.items():
                if figure is not None:
                    spread = (figure.train.mean, figure.train.std) if figure.train else (None, None)
                    place = (row.rank, row.label, row.arch_label, row.checkpoint, attack)
                    writer.writerow((*common, *place, figure.median, figure.std, figure.n, row.train_seeds, *spread))
    return text.getvalue().rstrip("\n")
