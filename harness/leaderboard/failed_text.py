"""What a board says of training seeds that failed: a cell, a line a row, and the figures of every seed."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from harness.errors import legible, visible
from harness.leaderboard.board import Board, Row
from harness.leaderboard.columns import title_of
from harness.leaderboard.failed_seeds import AT_CHANCE, LEFT_BEHIND, NOT_TRAINED, FailedSeed, FailedSeeds, RowlessMethod
from harness.statistics.figures import LEVEL

COLUMN = "failed"
LEGEND = (
    "failed k of n: training seeds whose network collapsed (accuracy at chance, or a class left behind) or whose"
    " training ended without a network; exact 95 % interval of the rate, over training seeds"
)
_HOW = {AT_CHANCE: "collapsed", LEFT_BEHIND: "a class left behind", NOT_TRAINED: "training failed"}


def failed_column(board: Board) -> list[str]:
    """``["failed"]`` where a training seed of a row that is shown failed, else an empty list."""
    return [COLUMN] if any(row.failed is not None and row.failed.count for row in board.rows) else []


def failed_cell(row: Row) -> str:
    """``1 of 3``; on the line of one training seed ``failed`` or ``no``; ``-`` where there are no training seeds."""
    if row.failed is None:
        return "-"
    if row.train_seed is not None:
        return COLUMN if any(seed.train_seed == row.train_seed for seed in row.failed.of_networks) else "no"
    return f"{row.failed.count} of {row.failed.of}"


def failed_text(failed: FailedSeeds) -> str:
    """``failed 1 of 3 training seeds, 95 % [0.8, 90.6]: seed 2 collapsed (3.30 % right under autoattack, …)``."""
    interval = failed.interval
    rate = f"failed {failed.count} of {failed.of} training seeds, 95 % [{interval.low:.1f}, {interval.high:.1f}]"
    return f"{rate}: {'; '.join(map(seed_text, failed.seeds))}"


def rowless_text(rowless: RowlessMethod) -> str:
    """``sat on smallcnn has no row: failed 2 of 2 training seeds, …``."""
    name = f"{legible(rowless.trained.label)} on {legible(rowless.trained.arch_label)}"
    return f"{name} has no row: {failed_text(rowless.failed)}"


def seed_text(seed: FailedSeed) -> str:
    """``seed 3 training failed (the loss is not finite at epoch 3, batch 5)``."""
    return f"seed {seed.train_seed} {_HOW[seed.how]} ({visible(seed.reason)})"


def every_seed(figures: Mapping[int, float]) -> str:
    """``47.97 (seed 0), 46.12 (seed 1), 3.30 (seed 2), median 46.12``; in the order of the seeds."""
    told = ", ".join(f"{percent:.2f} (seed {seed})" for seed, percent in sorted(figures.items()))
    return f"{told}, median {statistics.median(figures.values()):.2f}"


def failed_notes(board: Board, row: Row) -> Iterator[str]:
    """What failed in a row, and the figure of every seed in the column that ranks; nothing if nothing failed."""
    if row.failed is None or not row.failed.count:
        return
    yield failed_text(row.failed)
    figures = row.failed.figures.get(board.ranked_by, {})
    if len(figures) > 1:
        yield f"{title_of(board.ranked_by)}, every seed: {every_seed(figures)}"


def failed_document(failed: FailedSeeds | None) -> dict[str, Any] | None:
    """The failed seeds in JSON types; None where the row has no training seeds."""
    if failed is None:
        return None
    interval = {"kind": "Clopper-Pearson", "level": LEVEL, "unit": "training seeds", "n": failed.of}
    return {
        "count": failed.count,
        "of": failed.of,
        "interval": interval | asdict(failed.interval),
        "seeds": [asdict(seed) for seed in failed.seeds],
        "figures": {
            column: [{"train_seed": seed, "percent": percent} for seed, percent in sorted(figures.items())]
            for column, figures in failed.figures.items()
        },
    }
