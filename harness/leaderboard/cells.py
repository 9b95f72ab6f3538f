"""The texts of a table's cells and of its legend, the same in every format."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

from harness.leaderboard.board import REPORTED, Board, Row
from harness.leaderboard.columns import TITLES, WORST_CASE
from harness.leaderboard.pairs import RULE
from harness.reference import ABOUT
from harness.statistics.figures import Figure, Interval, plus_minus, t_interval, wilson

TIED = "≈"  # beside the rank of a row that does not differ significantly from the best
MADE_ELSEWHERE = "†"  # beside the name of a model that was not trained under the protocol


def figure_text(figure: Figure | None) -> str:
    """``78.89 ± 0.12``: median and standard deviation over attack seeds, in percent."""
    return "-" if figure is None else plus_minus(figure.median, figure.std)


def cell_text(row: Row, column: str) -> str:
    """A row's figure in a column: the median, or a publication's mean, which the board's heading then announces."""
    mean = row.means.get(column)
    return figure_text(row.metrics[column]) if mean is None else plus_minus(mean.mean, mean.std)


def heading(board: Board) -> str:
    """What the rows have in common. Where the figures are means over training seeds, the heading says so."""
    seeds = _training_seeds([board])
    return f"{board.heading}: {MEAN} over {seeds} training seeds" if seeds else board.heading


def _training_seeds(boards: Sequence[Board]) -> str:
    """How many training seeds the publications' means are taken over; empty where there are no means."""
    counts = {mean.n for board in boards for row in board.rows for mean in row.means.values()}
    return " or ".join(map(str, sorted(counts)))


def interval_text(interval: Interval | None, *, sign: bool = False) -> str:
    """``[77.1, 80.7]``; empty for None."""
    form = "+.1f" if sign else ".1f"
    return "" if interval is None else f"[{interval.low:{form}}, {interval.high:{form}}]"


def wilson_text(board: Board, figure: Figure | None) -> str:
    """Wilson's interval of a figure on the board's images; empty where their number is unknown."""
    return interval_text(wilson(figure.median, board.examples)) if figure and board.examples else ""


def wilson_lines(board: Board) -> list[str]:
    """Each row's Wilson intervals, for a table too narrow to hold them."""
    return _lines(board, lambda row: "test images", partial(wilson_text, board))


def spread_lines(board: Board) -> list[str]:
    """For rows of several networks, one line each: mean, deviation, and interval over training seeds."""
    return _lines(board, lambda row: f"{row.train_seeds} training seeds", _spread_text)


def _spread_text(figure: Figure) -> str:
    if figure.train is None:
        return ""
    mean, std, n = figure.train.mean, figure.train.std, figure.train.n
    return f"{plus_minus(mean, std or 0.0)} {interval_text(t_interval(mean, std, n))}".rstrip()


def _lines(board: Board, over: Callable[[Row], str], text: Callable[[Figure], str]) -> list[str]:
    """A line for each row, with the texts of its figures that are not empty; no line where all are."""
    lines = []
    for row in board.rows:
        texts = {TITLES.get(name, name): text(figure) for name, figure in row.metrics.items() if figure}
        joined = ", ".join(f"{title} {said}" for title, said in texts.items() if said)
        lines += [f"{row.label} over {over(row)}: {joined}"] if joined else []
    return lines


def seeds_text(row: Row) -> str:
    """How many attack seeds the figures of seeded attacks have: one number, or a range; ``-`` where unknown."""
    seeds = [figure.n for name, figure in row.metrics.items() if figure and name not in row.unseeded]
    if row.means or None in seeds:
        return "-"
    return range_text([n for n in seeds if n is not None]) or "1"


def range_text(counts: Collection[int]) -> str:
    """``5`` where all are equal, else ``3-5``; empty for none."""
    return "-".join(map(str, dict.fromkeys((min(counts), max(counts))))) if counts else ""


def header(board: Board) -> list[str]:
    """The names of the columns."""
    return ["rank", "method", "network", "checkpoint", *titles(board), "n", "networks", *_flags(board), "source"]


def _flags(board: Board) -> list[str]:
    """``["flags"]`` where checks of rigour were made on any row, else an empty list."""
    return ["flags"] if any(row.flags is not None for row in board.rows) else []


def name_text(row: Row) -> str:
    """The row's label, marked if the model is from elsewhere."""
    return row.label if row.trained_here else f"{row.label} {MADE_ELSEWHERE}"


def flags_text(row: Row) -> str:
    """One character for each flag; ``none`` where the checks raised no flag, ``-`` where no checks were made."""
    return "-" if row.flags is None else "".join(flag.mark for flag in row.flags) or "none"


def flag_lines(board: Board) -> list[str]:
    """Each flag with its reason."""
    return [
        f"{flag.mark} {name_text(row)}: {flag.check}"
        + (f" on {flag.networks} of {flag.of} networks, such as" if flag.of > 1 else "")
        + f": {flag.reason}"
        for row in board.rows
        for flag in row.flags or ()
    ]


def titles(board: Board) -> list[str]:
    """The names of the columns that hold figures."""
    return [TITLES.get(column, column) for column in board.columns]


def rank_text(row: Row) -> str:
    """The rank, marked if the row does not differ significantly from the best row."""
    return "-" if row.rank is None else f"{row.rank} {TIED}" if row.tied else str(row.rank)


def cells(board: Board, row: Row, before_interval: str | None = None) -> list[str]:
    """One row's texts, in the order of ``header``.

    Args:
        before_interval: what separates a figure from its Wilson interval; None: show no intervals.
    """
    figures = [cell_text(row, column) for column in board.columns]
    if before_interval is not None:
        intervals = [wilson_text(board, row.metrics[column]) for column in board.columns]
        figures = [f"{text}{before_interval}{i}".rstrip() for text, i in zip(figures, intervals, strict=True)]
    return [
        rank_text(row),
        name_text(row),
        row.arch_label,
        row.checkpoint,
        *figures,
        seeds_text(row),
        "-" if row.train_seeds is None else str(row.train_seeds),
        *(flags_text(row) for _ in _flags(board)),
        board.source,
    ]


MEAN = "mean ± standard deviation"
RIGHT = "% of test images classified rightly"
LEGEND = f"{RIGHT}: median ± standard deviation over n attack seeds"


def legend(boards: Sequence[Board], *, intervals: bool = True) -> list[str]:
    """Explain every kind of figure, interval, and mark that the boards show, and no others.

    Args:
        intervals: explain intervals, and the mark of rows that do not differ even where no row has it.
    """
    rows = [row for board in boards for row in board.rows]
    figures = [figure for row in rows for figure in row.metrics.values() if figure]
    examples = sorted({board.examples for board in boards if board.examples})
    lines = [LEGEND] if any(not row.means for row in rows) else []
    if seeds := _training_seeds(boards):
        papers = " and ".join(dict.fromkeys(board.protocol for board in boards if _training_seeds([board])))
        lines.append(
            f"reported by {papers}: {RIGHT}, {MEAN} over {seeds} networks, trained from different seeds; not over"
            " attack seeds"
        )
    if examples and intervals:
        images = " or ".join(map(str, examples))
        lines.append(f"[low, high] of a median, over test images: 95 % Wilson interval, n = {images}, networks fixed")
    if intervals and any(figure.train for figure in figures):
        lines.append(
            "over training seeds: mean ± standard deviation and 95 % t-interval over n networks, test images fixed"
        )
    if any(row.metrics.get(WORST_CASE) for row in rows):
        lines.append(
            f"worst case: right under every attack of the protocol with every attack seed ({_worst_case_seeds(rows)});"
            " it falls with more seeds"
        )
    if any(row.versus_best if intervals else row.tied for row in rows):
        lines.append(f"{TIED} not significantly different from the best row in the column that ranks: {RULE}")
    if any(not row.trained_here for row in rows):
        lines.append(f"{MADE_ELSEWHERE} not trained under the protocol: a model from elsewhere")
    if any(row.flags for row in rows):
        lines.append("flags: warning signs that a figure may not be what it seems; none is a proof (docs/rigour.md)")
    reporting = dict.fromkeys(board.protocol for board in boards if board.source == REPORTED)
    lines.extend(f"{paper}: {ABOUT[paper]}" for paper in reporting if paper in ABOUT)
    return lines


def _worst_case_seeds(rows: Sequence[Row]) -> str:
    """How many seeds of each attack the worst case covers: ``natural 1, pgd 5``; a range where rows differ."""
    held = [row.worst_case_seeds for row in rows]
    attacks = dict.fromkeys(attack for seeds in held for attack in seeds)
    return ", ".join(f"{a} {range_text([seeds[a] for seeds in held if a in seeds])}" for a in attacks)


def notes(boards: Sequence[Board]) -> list[str]:
    """Remarks on single rows, without repetitions."""
    return list(dict.fromkeys(f"{r.label} {r.network}: {note}" for b in boards for r in b.rows for note in r.notes))
