"""What a board says in words: the answer, its flags in short, and the legend of its figures and marks."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import legible, listed, visible
from harness.leaderboard.board import REPORTED, Board, Row
from harness.leaderboard.cells import (
    BEATS,
    MADE_ELSEWHERE,
    MEAN,
    TIED,
    cell_text,
    full_name,
    range_text,
    training_seeds,
    wilson_text,
)
from harness.leaderboard.columns import WORST_CASE, title_of
from harness.leaderboard.costs import LEGEND as COSTS
from harness.leaderboard.failed_text import LEGEND as FAILED
from harness.leaderboard.failed_text import failed_column
from harness.leaderboard.flags import NOT_JUDGED
from harness.leaderboard.pairs import rule
from harness.reference import ABOUT

NAMED = 6  # rows named in a line, before it says how many more there are


def answer(board: Board) -> str:
    """Which row is best in the column that ranks, with its interval, and which rows tie with it; hidden rows count.

    A row that the test finds better than the best row is named: it counts only the networks and attack seeds that both
    rows have, or one network of each, and the ranks count all.
    Where the worst case ranks rows of unequally many attack seeds, it says so: each seed more can only lower a figure.
    """
    column = board.ranked_by
    where = "in the worst case" if column == WORST_CASE else f"under {title_of(column)}"
    ranked = [row for row in board.ranked if row.rank is not None]
    if not ranked:
        return f"No row has a figure {where} yet."
    best, *others = ranked
    interval = wilson_text(board, best.metrics.get(column))
    text = f"Best {where}: {full_name(board, best)}, {cell_text(best, column)}"
    text += f" (95 % over test images: {interval})" if interval else ""
    if board.source == REPORTED:
        return f"{text}; a publication's figures are not tested for ties."
    tied = [full_name(board, row) for row in others if row.tied]
    untested = [full_name(board, row) for row in others if row.versus_best is None]
    better = [full_name(board, row) for row in others if row.beats_best]
    parts = [f"{BEATS} ranked below it, but better by the test: {listed(better, NAMED)} ({SHARED})"] if better else []
    parts += [f"{TIED} tied with it: {listed(tied, NAMED)}"] if tied else []
    parts += [f"not tested against it: {listed(untested, NAMED)}"] if untested else []
    if not parts:
        parts = ["no row ties with it" if others else "no other row has one"]
    if column == WORST_CASE and any(row.worst_case_seeds != best.worst_case_seeds for row in others):
        parts.append(
            f"the rows differ in their attack seeds ({_worst_case_seeds(ranked)}), and the worst case falls with more"
        )
    return f"{text}; {'; '.join(parts)}."


def flag_summary(board: Board) -> list[str]:
    """For each flag, and what was not judged, its mark, its check, and the rows that have it, without the reasons."""
    held: dict[tuple[str, str], list[str]] = {}
    for row in board.rows:
        for flag in row.warnings:
            held.setdefault((flag.mark, flag.check), []).append(full_name(board, row))
    return [f"{_flag(mark, check)}: {listed(names, NAMED)}" for (mark, check), names in held.items()]


def unchecked(board: Board) -> list[str]:
    """The rows on which some checks were not made that were made on others, the same checks in one line."""
    held: dict[tuple[str, ...], list[str]] = {}
    for row in board.rows:
        held.setdefault(row.unchecked, []).append(full_name(board, row))
    return [
        f"not checked for {listed([*map(legible, checks)], NAMED)}: {listed(names, NAMED)};"
        " there a missing flag says nothing"
        for checks, names in held.items()
        if checks
    ]


def _flag(mark: str, check: str) -> str:
    return f"{mark} {check} not judged, no baseline" if mark == NOT_JUDGED else f"flag {mark}, {check}"


def short_legend(boards: Sequence[Board]) -> str:
    """What a figure is, in a few words."""
    means = [any(row.means for row in board.rows) for board in boards]
    if all(means):
        return "% right: mean ± std over training seeds"
    return "% right: median ± std over n attack seeds" + (", or as a heading says" if any(means) else "")


def marks(boards: Sequence[Board]) -> list[str]:
    """The marks beside names that are in use, each in a few words; the answer explains the mark of ties."""
    elsewhere = any(not row.trained_here for board in boards for row in board.rows)
    return [f"{MADE_ELSEWHERE} {ELSEWHERE}"] if elsewhere else []


SHARED = "a rank counts all networks and attack seeds of a row, the test those that two rows share"
ELSEWHERE = "not trained under the protocol: a model from elsewhere"
UNCOMPARED = (
    "autoattack-gap is not judged: the board has no sat to compare with, of that network and with those wrappers"
)
RIGHT = "% of test images classified rightly"
LEGEND = f"{RIGHT}: median ± standard deviation over n attack seeds"


def legend(boards: Sequence[Board], *, intervals: bool = True) -> list[str]:
    """Explain every kind of figure, interval, and mark that the boards show, and no others.

    Args:
        intervals: explain intervals, and the mark of rows that do not differ even where no row has it.
    """
    rows = [row for board in boards for row in board.rows]
    examples = sorted({board.examples for board in boards if board.examples})
    lines = [LEGEND] if any(not row.means for row in rows) else []
    if seeds := training_seeds(boards):
        papers = " and ".join(dict.fromkeys(board.protocol for board in boards if training_seeds([board])))
        lines.append(
            f"reported by {papers}: {RIGHT}, {MEAN} over {seeds} networks, trained from different seeds; not over"
            " attack seeds"
        )
    if examples and intervals:
        images = " or ".join(map(str, examples))
        lines.append(f"[low, high] of a median, over test images: 95 % Wilson interval, n = {images}, networks fixed")
    if intervals and any(f.train for r in rows if not _networks_failed(r) for f in r.metrics.values() if f):
        lines.append(
            "over training seeds: mean ± standard deviation and 95 % t-interval over n networks, test images fixed"
        )
    if any(map(failed_column, boards)):
        lines.append(FAILED)
    if any(row.metrics.get(WORST_CASE) for row in rows):
        lines.append(
            f"worst case: right under every attack of the protocol with every attack seed ({_worst_case_seeds(rows)});"
            " it falls with more seeds"
        )
    if any(row.beats_best for row in rows):
        lines.append(f"{BEATS} significantly better than the best row in the column that ranks: {SHARED}")
    if any(row.versus_best if intervals else row.tied for row in rows):
        tested = rule(row.versus_best for board in boards for row in board.ranked)
        lines.append(f"{TIED} not significantly different from the best row in the column that ranks: {tested}")
    if any(board.costed for board in boards):
        lines.append(COSTS)
    if any(not row.trained_here for row in rows):
        lines.append(f"{MADE_ELSEWHERE} {ELSEWHERE}")
    if any(row.flags for row in rows):
        lines.append("flags: warning signs that a figure may not be what it seems; none is a proof (docs/rigour.md)")
    if any(row.not_judged for row in rows):
        lines.append(f"{NOT_JUDGED} {UNCOMPARED}")
    reporting = dict.fromkeys(board.protocol for board in boards if board.source == REPORTED)
    lines.extend(f"{paper}: {ABOUT[paper]}" for paper in reporting if paper in ABOUT)
    return lines


def _networks_failed(row: Row) -> bool:
    return row.failed is not None and bool(row.failed.of_networks)


def _worst_case_seeds(rows: Sequence[Row]) -> str:
    """How many seeds of each attack the worst case covers: ``natural 1, pgd 5``; a range where rows differ."""
    held = [row.worst_case_seeds for row in rows]
    attacks = dict.fromkeys(attack for seeds in held for attack in seeds)
    return ", ".join(f"{a} {range_text([seeds[a] for seeds in held if a in seeds])}" for a in attacks)


def notes(boards: Sequence[Board]) -> list[str]:
    """Remarks on single rows, without repetitions."""
    said = [(r.label, r.network, note) for board in boards for r in board.rows for note in r.notes]
    return [f"{legible(label)} {legible(network)}: {visible(note)}" for label, network, note in dict.fromkeys(said)]
