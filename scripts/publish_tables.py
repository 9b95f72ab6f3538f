"""Write the tables of README.md and docs/results.md from leaderboard.db; a test compares them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.leaderboard.board import MEASURED, Board, Row, Selection
from harness.leaderboard.cells import TIED, figure_text, flags_text, interval_text, legend, range_text, titles
from harness.leaderboard.columns import VerdictsById
from harness.leaderboard.pairs import common_seeds, over_training_seeds
from harness.leaderboard.ranking import boards, read_verdicts
from harness.leaderboard.render_markdown import markdown_table
from harness.statistics.figures import t_interval
from harness.store.records import RunRecord
from harness.store.store import Store

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- leaderboard: begin -->", "<!-- leaderboard: end -->"
BASELINE = "sat"


def published() -> tuple[list[Board], list[RunRecord], VerdictsById]:
    """The measured boards of the published database, their runs, and the verdicts of every image."""
    store = Store.read(str(ROOT / "leaderboard.db"))
    chosen = [board for board in boards(store, Selection()) if board.source == MEASURED]
    runs = store.runs()
    verdicts = read_verdicts(store, [n for board in chosen for row in board.rows for n in row.networks])
    store.close()
    return chosen, runs, verdicts


def readme_table() -> str:
    """Medians and deviations over attack seeds, and where they were measured."""
    chosen, runs, _ = published()
    parts = []
    for board in chosen:
        rows = [
            [_marked(row), *(figure_text(row.metrics[c]) for c in board.columns), flags_text(row)] for row in board.rows
        ]
        table = markdown_table(["method", *titles(board), "flags"], rows)
        parts.append(f"**{board.heading}, {board.rows[0].network}**\n\n{table}")
    every = [row for board in chosen for row in board.rows]
    seeds = range_text([row.train_seeds for row in every if row.train_seeds])
    attacks = range_text([f.n for row in every for f in row.metrics.values() if f and f.std and f.n])
    counted = (
        f"n = {attacks} attack seeds on each of {seeds} networks, trained from different seeds (the median of the"
        " networks' medians, the root mean square of their deviations)"
    )
    medians, *rest = legend(chosen, intervals=False)
    sentences = (text[0].upper() + text[1:] for text in rest)
    return "\n\n".join([*parts, ". ".join([f"{medians}; {counted}", *sentences, _place(runs)])])


def _marked(row: Row) -> str:
    return f"{row.label} {TIED}" if row.tied else row.label


def results_tables() -> str:
    """Means over training seeds with 95 % t-intervals, and differences from the baseline, paired by training seed."""
    chosen, runs, verdicts = published()
    parts = []
    for board in chosen:
        means = [[row.label, *(_mean(row, column) for column in board.columns)] for row in board.rows]
        parts.append(f"**{board.heading}, {board.rows[0].network}.** Mean over training seeds, 95 % t-interval:")
        parts.append(markdown_table(["method", *titles(board)], means))
        base = next((row for row in board.rows if row.label == BASELINE), None)
        if base is not None:
            differences = [
                [row.label, *(_difference(row, base, board, c, verdicts) for c in board.columns)]
                for row in board.rows
                if row is not base
            ]
            parts.append("Difference, paired by training seed (the same initial weights and the same order of images):")
            parts.append(markdown_table([f"difference from {BASELINE}", *titles(board)], differences))
    return "\n\n".join([*parts, _place(runs)])


def _mean(row: Row, column: str) -> str:
    """``78.9 [77.1, 80.7]``: the mean over training seeds and its interval; for one network its median."""
    figure = row.metrics[column]
    if figure is None or figure.train is None:
        return f"{figure.median:.1f}" if figure else "-"
    spread = figure.train
    return f"{spread.mean:.1f} {interval_text(t_interval(spread.mean, spread.std, spread.n))}"


def _difference(row: Row, base: Row, board: Board, name: str, verdicts: VerdictsById) -> str:
    """``+2.2 [+0.6, +3.9]``: over the training seeds that both rows have; a dash if these are fewer than two."""
    column = board.column(name)
    pairs = common_seeds(row.networks, base.networks)
    t = over_training_seeds([shared for pair in pairs if (shared := column.in_common(*pair))], column, verdicts)
    return "-" if t is None else f"{t.difference:+.1f} {interval_text(t.interval, sign=True)}"


def _place(runs: Sequence[RunRecord]) -> str:
    places = {
        f"{r.provenance['device']} ({r.provenance['machine']}), torch {r.provenance['torch']},"
        f" pyautoattack {r.provenance['pyautoattack']}, Python {r.provenance['python']}"
        for r in runs
    }
    return f"Measured on {'; '.join(sorted(places))}."


PAGES: dict[Path, Callable[[], str]] = {
    ROOT / "README.md": readme_table,
    ROOT / "docs" / "results.md": results_tables,
}


def between_markers(text: str) -> tuple[str, str, str]:
    """The text before, between, and after the two markers."""
    head, found, rest = text.partition(BEGIN)
    body, closed, tail = rest.partition(END)
    if not (found and closed):
        sys.exit(f"the markers {BEGIN} and {END} are missing")
    return head, body.strip(), tail


def main() -> None:
    """Replace the text between the markers of each page."""
    for page, table in PAGES.items():
        head, _, tail = between_markers(page.read_text())
        page.write_text(f"{head}{BEGIN}\n{table()}\n{END}{tail}")


if __name__ == "__main__":
    main()
