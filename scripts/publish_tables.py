"""Write the tables of README.md and docs/results.md from leaderboard.db; a test compares them."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from scipy import stats

from harness.leaderboard.cells import LEGEND, figure_text
from harness.leaderboard.ranking import MEASURED, Board, Selection, boards
from harness.store.records import RunRecord
from harness.store.store import Store

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- leaderboard: begin -->", "<!-- leaderboard: end -->"
BASELINE = "sat"


def published() -> tuple[list[Board], list[RunRecord]]:
    """The measured boards of the published database, and their runs."""
    store = Store.read(str(ROOT / "leaderboard.db"))
    chosen = [board for board in boards(store, Selection()) if board.source == MEASURED]
    runs = store.runs()
    store.close()
    return chosen, runs


def readme_table() -> str:
    """Medians and deviations over attack seeds, and where they were measured."""
    chosen, runs = published()
    parts = []
    for board in chosen:
        rows = [
            ["method", *board.columns],
            *([row.label, *(figure_text(row.metrics[c]) for c in board.columns)] for row in board.rows),
        ]
        parts.append(f"**{board.heading}, {board.rows[0].arch}**\n\n{_markdown(rows)}")
    seeds = sorted({row.train_seeds for board in chosen for row in board.rows if row.train_seeds})
    attacks = sorted({f.n for board in chosen for row in board.rows for f in row.metrics.values() if f and f.std})
    counted = f"n = {_range(attacks)} attack seeds on each of {_range(seeds)} networks, trained from different seeds"
    return "\n\n".join([*parts, f"{LEGEND}; {counted}. {_place(runs)}"])


def results_tables() -> str:
    """Means over training seeds with 95 % t-intervals, and differences from the baseline, paired by training seed."""
    chosen, runs = published()
    parts = []
    for board in chosen:
        medians = {
            row.label: {column: _by_seed(row.runs, runs, column, board) for column in board.columns}
            for row in board.rows
        }
        table = [["method", *board.columns]]
        table += [[label, *(_interval(list(m[c].values())) for c in board.columns)] for label, m in medians.items()]
        parts.append(f"**{board.heading}, {board.rows[0].arch}.** Mean over training seeds, 95 % t-interval:")
        parts.append(_markdown(table))
        base = medians.get(BASELINE)
        if base is not None:
            table = [[f"difference from {BASELINE}", *board.columns]]
            for label, metrics in medians.items():
                if label != BASELINE:
                    pairs = [_paired(metrics[column], base[column]) for column in board.columns]
                    table.append([label, *(_interval(pair, sign=True) for pair in pairs)])
            parts.append("Difference, paired by training seed (the same initial weights and the same order of images):")
            parts.append(_markdown(table))
    return "\n\n".join([*parts, _place(runs)])


def _by_seed(numbers: Sequence[int], runs: Sequence[RunRecord], attack: str, board: Board) -> dict[int, float]:
    """For each training seed the median accuracy over attack seeds."""
    medians = {}
    for run in (run for run in runs if run.id in numbers):
        evaluations = [e for c in run.checkpoints for e in c.evaluations if e.attack == attack and e.complete]
        chosen = [e.percent for e in evaluations if e.examples == board.examples]
        medians[run.train_seed] = statistics.median(chosen)
    return medians


def _paired(one: dict[int, float], other: dict[int, float]) -> list[float]:
    return [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]


def _interval(values: Sequence[float], *, sign: bool = False) -> str:
    """``78.9 [77.1, 80.7]``: the mean and the 95 % interval of Student's t."""
    mean = statistics.fmean(values)
    form = "+.1f" if sign else ".1f"
    if len(values) < 2:
        return f"{mean:{form}}"
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:{form}} [{mean - half:{form}}, {mean + half:{form}}]"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join(["---"] * len(rows[0])) + " |", *lines[1:]])


def _range(numbers: Sequence[int]) -> str:
    return "-".join(str(n) for n in dict.fromkeys((numbers[0], numbers[-1])))


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
    """What stands before, between, and after the two markers."""
    head, found, rest = text.partition(BEGIN)
    body, closed, tail = rest.partition(END)
    if not (found and closed):
        sys.exit(f"the markers {BEGIN} and {END} are missing")
    return head, body.strip(), tail


def main() -> None:
    """Replace what stands between the markers of each page."""
    for page, table in PAGES.items():
        head, _, tail = between_markers(page.read_text())
        page.write_text(f"{head}{BEGIN}\n{table()}\n{END}{tail}")


if __name__ == "__main__":
    main()
