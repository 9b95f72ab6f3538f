"""The leaderboard as CSV: one line for each figure, not rounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from harness.leaderboard.board import Board, Row
from harness.statistics.figures import Figure
from harness.statistics.intervals import t_interval, wilson

COLUMNS = (
    *("dataset", "source", "protocol", "fingerprint", "examples", "rank", "method", "network", "checkpoint"),
    *("attack", "median_percent", "std_percent", "n", "networks", "train_mean_percent", "train_std_percent"),
    *("wilson_low_percent", "wilson_high_percent", "train_t_low_percent", "train_t_high_percent", "tied"),
)


def render_csv(boards: Sequence[Board]) -> str:
    """A header, then one line for each figure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for board in boards:
        common = (board.dataset, board.source, board.protocol, board.fingerprint, board.examples)
        for row in board.rows:
            place = (row.rank, row.label, row.arch_label, row.checkpoint)
            for attack in row.metrics:
                numbers = _numbers(row, attack, board.examples)
                if numbers is not None:
                    writer.writerow((*common, *place, attack, *numbers, board.tied(row)))
    return text.getvalue().rstrip("\n")


def _numbers(row: Row, attack: str, examples: int | None) -> tuple[float | None, ...] | None:
    """The columns between ``attack`` and ``tied``; None where there is no figure."""
    figure, mean = row.metrics[attack], row.means.get(attack)
    if figure is not None:
        return (figure.median, figure.std, figure.n, row.train_seeds, *_intervals(figure, examples))
    if mean is not None:  # from a publication, which gives no median over attack seeds and no interval
        return (None, None, None, mean.n, mean.mean, mean.std, *[None] * 4)
    return None


def _intervals(figure: Figure, examples: int | None) -> tuple[float | None, ...]:
    """The columns between ``networks`` and ``tied``; None where there is no interval."""
    train, over_seeds = figure.train, None
    if train is not None:
        over_seeds = t_interval(train.mean, train.std, train.n)
    over_images = wilson(figure.median, examples) if examples else None
    spread = (train.mean, train.std) if train else (None, None)
    ends = ((i.low, i.high) if i else (None, None) for i in (over_images, over_seeds))
    return (*spread, *(end for pair in ends for end in pair))
