"""What a table's cells say: the same words in every format."""

from __future__ import annotations

from collections.abc import Sequence

from harness.evaluation.statistics import Figure
from harness.leaderboard.ranking import Board, Row


def figure_text(figure: Figure | None) -> str:
    """``78.89 ± 0.12``: median and standard deviation over attack seeds, in percent."""
    if figure is None:
        return "-"
    return f"{figure.median:.2f}" + (f" ± {figure.std:.2f}" if figure.std is not None else "")


def seeds_text(row: Row) -> str:
    """Attack seeds of each figure that a seed can change: one number, or the range where they differ."""
    counts = sorted({figure.n for name, figure in row.metrics.items() if figure and name not in row.unseeded})
    return "-".join(str(n) for n in dict.fromkeys((counts[0], counts[-1]))) if counts else "1"


def header(board: Board) -> list[str]:
    """The names of the columns."""
    return ["rank", "method", "network", "checkpoint", *board.columns, "n", "networks", "source"]


def cells(board: Board, row: Row) -> list[str]:
    """One row's texts, as ``header`` names them."""
    return [
        "-" if row.rank is None else str(row.rank),
        row.label,
        row.arch_label,
        row.checkpoint,
        *(figure_text(row.metrics[column]) for column in board.columns),
        seeds_text(row),
        "-" if row.train_seeds is None else str(row.train_seeds),
        board.source,
    ]


def spread_lines(board: Board) -> list[str]:
    """For rows of several networks: mean and standard deviation over training seeds, told apart from the table's."""
    lines = []
    for row in board.rows:
        spreads = {name: figure.train for name, figure in row.metrics.items() if figure is not None and figure.train}
        if spreads:
            told = ", ".join(f"{name} {s.mean:.2f} ± {s.std or 0:.2f}" for name, s in spreads.items())
            lines.append(f"{row.label} over {row.train_seeds} training seeds: {told}")
    return lines


LEGEND = "% of test images classified rightly: median ± standard deviation over n attack seeds"


def notes(boards: Sequence[Board]) -> list[str]:
    """Remarks on single figures, each once."""
    return list(dict.fromkeys(f"{r.label} {r.arch}: {note}" for b in boards for r in b.rows for note in r.notes))
