"""Write the tables of README.md and docs/results.md from leaderboard.db; a test compares them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from harness.leaderboard.board import MEASURED, Board, Row, Selection
from harness.leaderboard.cells import (
    TIED,
    failed_lines,
    figure_text,
    flags_text,
    interval_text,
    range_text,
    titles,
    wilson_text,
)
from harness.leaderboard.failed_text import LEGEND as FAILED
from harness.leaderboard.legend import legend, unchecked
from harness.leaderboard.over_seeds import figures_in_common, network_pairs
from harness.leaderboard.pairs import robust_sides
from harness.leaderboard.ranking import boards, read_verdicts
from harness.leaderboard.render_markdown import markdown_table
from harness.statistics.figures import t_interval
from harness.statistics.paired import bootstrap_difference, cross, paired_t
from harness.store.records import RunRecord
from harness.store.store import Store
from harness.store.verdicts import VerdictsById

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- leaderboard: begin -->", "<!-- leaderboard: end -->"
BASELINE = "sat"
SEVERAL_NETWORKS = (
    ", trained from different seeds (the median of the networks' medians, the root mean square of their deviations)"
)
ONE_NETWORK = "One network a row, 95 % Wilson interval over test images:"
PAIRED_BY_SEED = "Difference, paired by training seed (the same initial weights and the same order of images):"
PAIRED_BY_IMAGE = (
    "Difference of two networks, paired by test image, 95 % bootstrap interval. It says nothing about networks that are"
    " trained from other seeds:"
)
TOP = 10  # rows of each table of README.md
SEVERAL = "each table says how many attack seeds on how many networks"


def published() -> tuple[list[Board], list[RunRecord], VerdictsById]:
    """The measured boards of the published database, their runs, and the verdicts of every image."""
    store = Store.read(str(ROOT / "leaderboard.db"))
    chosen = [board for board in boards(store, Selection()) if board.source == MEASURED]
    runs = store.runs()
    verdicts = read_verdicts(store, [n for board in chosen for row in board.rows for n in row.networks])
    store.close()
    return chosen, runs, verdicts


def readme_table() -> str:
    """Medians and deviations over attack seeds of each board's first rows, and where they were measured."""
    whole, runs, _ = published()
    chosen = [replace(board, rows=board.rows[:TOP]) for board in whole]
    counted = {board.heading: _counted(board) for board in chosen}
    alike = len(set(counted.values())) == 1
    parts = []
    for board, full in zip(chosen, whole, strict=True):
        rows = [
            [_marked(row), *(figure_text(row.metrics[c]) for c in board.filled), flags_text(row)] for row in board.rows
        ]
        table = markdown_table(["method", *titles(board), "flags"], rows)
        heading = f"**{board.heading}, {board.rows[0].arch_label}**"
        if len(rows) < len(full.rows):
            heading += f", the first {TOP} of {len(full.rows)} rows"
        parts.append(f"{heading if alike else f'{heading}: {counted[board.heading]}'}\n\n{table}")
    several = [board for board in chosen if any((row.train_seeds or 0) > 1 for row in board.rows)]
    failed = [line for board in several for line in failed_lines(board)]  # of one network a row the flags say it
    remarks = [line for board in chosen for line in (*_remarks(board), *unchecked(board))]
    medians, *rest = (text for text in legend(chosen, intervals=False) if failed or text != FAILED)
    sentences = [text[0].upper() + text[1:] for text in rest]
    last = next(iter(counted.values())) if alike else SEVERAL
    return "\n\n".join([*parts, *failed, *remarks, ". ".join([f"{medians}; {last}", *sentences, _place(runs)])])


def _counted(board: Board) -> str:
    """How many attack seeds, on how many networks."""
    seeds = [max((f.n for f in row.metrics.values() if f and f.n), default=1) for row in board.rows]
    networks = [row.train_seeds for row in board.rows if row.train_seeds]
    attacks = f"n = {range_text(seeds)} attack seed{'s' * (max(seeds) > 1)}"
    if max(networks) == 1:
        return f"{attacks} on one network"
    return f"{attacks} on each of {range_text(networks)} networks{SEVERAL_NETWORKS}"


def _remarks(board: Board) -> list[str]:
    """The notes of rows, each with the rows that have it."""
    notes = dict.fromkeys(note for row in board.rows for note in row.notes)
    return [f"{'; '.join(row.label for row in board.rows if note in row.notes)}: {note}" for note in notes]


def _marked(row: Row) -> str:
    return f"{row.label} {TIED}" if row.tied else row.label


def results_tables() -> str:
    """Means and differences from the baseline, with 95 % intervals: over training seeds, or over images if one is all.

    Over training seeds the intervals are Student's, and differences are paired by seed. Over images the intervals are
    Wilson's, and those of differences are bootstrapped, paired by image.
    """
    chosen, runs, verdicts = published()
    parts = []
    for board in chosen:
        several = any(figure.train for row in board.rows for figure in row.metrics.values() if figure)
        over = "Mean over training seeds, 95 % t-interval:" if several else ONE_NETWORK
        figures = [
            [row.label, *(_mean(row, c) if several else _of_one(board, row, c) for c in board.filled)]
            for row in board.rows
        ]
        parts.append(f"**{board.heading}, {board.rows[0].arch_label}.** {over}")
        parts.append(markdown_table(["method", *titles(board)], figures))
        parts += failed_lines(board) if several else []  # of one network a row the flags say it
        parts += _remarks(board)
        base = next((row for row in board.rows if row.label == BASELINE), None)
        others = [row for row in board.rows if row is not base]
        if base is not None and others:
            difference = _difference if several else _difference_of_two
            differences = [
                [row.label, *(difference(row, base, board, c, verdicts) for c in board.filled)] for row in others
            ]
            parts.append(PAIRED_BY_SEED if several else PAIRED_BY_IMAGE)
            parts.append(markdown_table([f"difference from {BASELINE}", *titles(board)], differences))
    return "\n\n".join([*parts, _place(runs)])


def _mean(row: Row, column: str) -> str:
    """``78.9 [77.1, 80.7]``: the mean over training seeds and its interval; for one network its median.

    Where a network failed, no mean describes the row: the median, and every seed's figure.
    """
    figure = row.metrics[column]
    if figure is None or figure.train is None:
        return f"{figure.median:.1f}" if figure else "-"
    if row.failed is not None and row.failed.of_networks:
        return f"median {figure.median:.1f}: {', '.join(f'{p:.1f}' for p in row.failed.figures[column].values())}"
    spread = figure.train
    return f"{spread.mean:.1f} {interval_text(t_interval(spread.mean, spread.std, spread.n))}"


def _difference(row: Row, base: Row, board: Board, name: str, verdicts: VerdictsById) -> str:
    """``+2.2 [+0.6, +3.9]``: over the training seeds that both rows have; a dash if these are fewer than two."""
    column = board.column(name)
    pairs = figures_in_common(row.networks, base.networks, column, verdicts)
    if len(pairs) < 2 or any(one.failed is not None and one.failed.spoils_means for one in (row, base)):
        return "-"  # a mean of differences would describe no network
    t = paired_t(*zip(*pairs, strict=True))
    return f"{t.difference:+.1f} {interval_text(t.interval, sign=True)}"


def _of_one(board: Board, row: Row, column: str) -> str:
    """``33.0 [29.0, 37.2]``: the figure of one network and its interval over images."""
    figure = row.metrics[column]
    return f"{figure.median:.1f} {wilson_text(board, figure)}" if figure else "-"


def _difference_of_two(row: Row, base: Row, board: Board, name: str, verdicts: VerdictsById) -> str:
    """``+2.2 [-1.6, +6.0]``: of two networks, over the images; right is right under every attack seed in common."""
    column = board.column(name)
    shared = [
        in_common for pair in network_pairs(row.networks, base.networks) if (in_common := column.in_common(*pair))
    ]
    if not shared:
        return "-"
    table = cross(*robust_sides(shared[0], verdicts))
    interval = bootstrap_difference(table, row.label, base.label, name)
    return f"{table.difference:+.1f} {interval_text(interval, sign=True)}"


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
