"""The texts of a table's heading and cells, the same in every format."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from harness.errors import legible
from harness.leaderboard.board import Board, Row
from harness.leaderboard.columns import TAKEN, WORST_CASE, title_of
from harness.leaderboard.cost_columns import cost_cells, cost_titles
from harness.leaderboard.failed_text import COLUMN as FAILED
from harness.leaderboard.failed_text import every_seed, failed_cell, failed_column, failed_notes, rowless_text
from harness.leaderboard.varied import values_of
from harness.plugin.ball import radius_text
from harness.statistics.figures import Figure, Interval, plus_minus, t_interval, wilson
from harness.store.scope import Scope

MEAN = "mean ± standard deviation"
TIED = "≈"  # beside the rank of a row that does not differ significantly from the best
BEATS = "↑"  # beside the rank of a row that the test finds better than the best row
MADE_ELSEWHERE = "†"  # beside the name of a model that was not trained under the protocol


def figure_text(figure: Figure | None) -> str:
    """``78.89 ± 0.12``: median and standard deviation over attack seeds, in percent."""
    return "-" if figure is None else plus_minus(figure.median, figure.std)


def cell_text(row: Row, column: str) -> str:
    """A row's figure in a column: the median, or a publication's mean, which the board's heading then announces."""
    mean = row.means.get(column)
    return figure_text(row.metrics[column]) if mean is None else plus_minus(mean.mean, mean.std)


def heading(board: Board) -> str:
    """What the rows have in common, among what they rank if not among all rows, and whether the figures are means."""
    seeds = training_seeds([board])
    means = f": {MEAN} over {seeds} training seeds" if seeds else ""
    return "; ".join([board.heading + ball_words(board.scope) + means, *_contest(board)])


def ball_words(scope: Scope | None) -> str:
    """``, epsilon 8/255``: the radius of the attacks' ball, and its norm if it is not L-infinity; empty for None."""
    return "" if scope is None else f", epsilon {radius_text(scope.epsilon, scope.norm)}"


def _contest(board: Board) -> Iterator[str]:
    """Among what the rows rank, and how many are hidden; nothing where all rows of the board are shown."""
    rows, ranked = len(board.ranked), board.ranked_rows
    among = " and ".join(f"{name} {legible(value)}" for name, value in board.within)
    if board.shown is not None and board.shown < rows:
        of = f" of {among}" if among else ""
        among_all = f"{board.shown} of {rows} rows are shown, ranked among all {rows}{of}"
        among_some = f"{board.shown} of {rows} rows{of} are shown, ranked among the {ranked} that have a figure"
        yield among_all if ranked == rows else among_some
    elif among:
        yield f"ranked among {among} alone"
    if board.by_seed:
        yield "one line a training seed; rank and ties are those of all training seeds together"


def training_seeds(boards: Sequence[Board]) -> str:
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
    return _lines(board, lambda row: "test images", lambda row, name, figure: wilson_text(board, figure))


def spread_lines(board: Board) -> list[str]:
    """For rows of several networks, one line each: mean, deviation, and interval over training seeds.

    Where a network failed no mean describes the row: there stand every seed's figure, and the median.
    """
    return _lines(board, _over_seeds, _spread_text)


def _over_seeds(row: Row) -> str:
    failed = len(row.failed.of_networks) if row.failed is not None else 0
    return f"{row.train_seeds} training seeds" + (f", no mean since {failed} failed" if failed else "")


def _spread_text(row: Row, name: str, figure: Figure) -> str:
    if figure.train is None:
        return ""
    if row.failed is not None and row.failed.of_networks:
        return every_seed(row.failed.figures[name])
    mean, std, n = figure.train.mean, figure.train.std, figure.train.n
    alone = f" of {n} networks" if n != row.train_seeds else ""
    return f"{plus_minus(mean, std or 0.0)} {interval_text(t_interval(mean, std, n))}".rstrip() + alone


def _lines(board: Board, over: Callable[[Row], str], text: Callable[[Row, str, Figure], str]) -> list[str]:
    """A line for each row, with the texts of its figures that are not empty; no line where all are."""
    lines = []
    for row in board.rows:
        texts = {title_of(name): text(row, name, figure) for name, figure in row.metrics.items() if figure}
        joined = ", ".join(f"{title} {said}" for title, said in texts.items() if said)
        lines += [f"{full_name(board, row)} over {over(row)}: {joined}"] if joined else []
    return lines


def failed_lines(board: Board) -> list[str]:
    """The training seeds of each row that failed, why, and the figure of every seed; then methods without a row."""
    lines: dict[str, None] = {}
    for row in board.rows:
        told = list(failed_notes(board, row))
        if told:  # a row that has a line for each training seed says it once
            lines[f"{full_name(board, replace(row, train_seed=None))} {'; '.join(told)}"] = None
    return [*lines, *map(rowless_text, board.rowless)]


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
    words = ["rank", "method", *setting_titles(board).values(), *_seed(board), "network", "checkpoint"]
    later = [*failed_column(board), *_flags(board), *cost_titles(board)]
    return [*words, *titles(board), "n", "networks", *later, "source"]


def setting_titles(board: Board) -> dict[str, str]:
    """The settings that have a column of their own, each with its title, which no other column has."""
    taken = {*TAKEN, *titles(board)}
    shown = {name: legible(name) for name in board.varied}
    return {name: f"setting {title}" if title in taken else title for name, title in shown.items()}


def _settings(board: Board, row: Row) -> list[str]:
    """The row's values of the settings that have a column; ``-`` where it has no such setting."""
    own = values_of(row, board.varied)
    return [legible(str(own[name])) if name in own else "-" for name in board.varied]


def _seed(board: Board) -> list[str]:
    """``["seed"]`` where a row stands for one training seed, else an empty list."""
    return ["seed"] if board.by_seed else []


def _flags(board: Board) -> list[str]:
    """``["flags"]`` where checks of rigour were made on any row, else an empty list."""
    return ["flags"] if board.examined else []


def name_text(row: Row, columns: Collection[str] = ()) -> str:
    """The row's label, marked if the model is from elsewhere.

    Args:
        columns: settings that stand in columns of their own, and not in the label.
    """
    name = legible(row.label_without(columns))
    return name if row.trained_here else f"{name} {MADE_ELSEWHERE}"


def full_name(board: Board, row: Row) -> str:
    """The row's name, with its network, checkpoint, and training seed where the rows of the board differ in these."""
    own = (legible(row.arch_label), legible(row.checkpoint))
    apart = [name for name, differs in zip(own, board.differs, strict=True) if differs]
    apart += [] if row.train_seed is None else [f"training seed {row.train_seed}"]
    return name_text(row) + (f" ({', '.join(apart)})" if apart else "")


def flags_text(row: Row) -> str:
    """A mark for each flag, ``A?`` for what was not judged; ``none`` without any, ``-`` where no checks were made."""
    return "-" if row.marks is None else row.marks or "none"


def flag_lines(board: Board) -> list[str]:
    """Each flag with its reason, and what was not judged."""
    return [
        f"{flag.mark} {full_name(board, row)}: {flag.check}"
        + (f" on {flag.networks} of {flag.of} networks, such as" if flag.of > 1 else "")
        + f": {flag.reason}"
        for row in board.rows
        for flag in row.warnings
    ]


def titles(board: Board) -> list[str]:
    """The names of the columns that hold figures."""
    return [title_of(column) for column in board.filled]


def rank_text(row: Row) -> str:
    """The rank, with ``tie_mark``."""
    return "-" if row.rank is None else f"{row.rank} {tie_mark(row)}".rstrip()


def tie_mark(row: Row) -> str:
    """The mark of a row that does not differ significantly from the best row, or is better than it; else empty."""
    return TIED if row.tied else BEATS if row.beats_best else ""


def cells(board: Board, row: Row, before_interval: str | None = None) -> list[str]:
    """One row's texts, in the order of ``header``.

    Args:
        before_interval: what separates a figure from its Wilson interval; None: show no intervals.
    """
    figures = [cell_text(row, column) for column in board.filled]
    if before_interval is not None:
        intervals = [wilson_text(board, row.metrics[column]) for column in board.filled]
        figures = [f"{text}{before_interval}{i}".rstrip() for text, i in zip(figures, intervals, strict=True)]
    return [
        rank_text(row),
        name_text(row, board.varied),
        *_settings(board, row),
        *("-" if row.train_seed is None else str(row.train_seed) for _ in _seed(board)),
        legible(row.arch_label),
        legible(row.checkpoint),
        *figures,
        seeds_text(row),
        "-" if row.train_seeds is None else str(row.train_seeds),
        *(failed_cell(row) for _ in failed_column(board)),
        *(flags_text(row) for _ in _flags(board)),
        *cost_cells(board, row),
        board.source,
    ]


ALWAYS = ("rank", "method", "seed")  # columns that are shown even where all rows agree


def shared(board: Board, names: Sequence[str]) -> dict[str, str]:
    """The columns in which all rows agree, with what they agree on; a table says it once, and leaves them out."""
    rows = [dict(zip(header(board), cells(board, row), strict=True)) for row in board.rows]
    may = [name for name in names if name not in (*ALWAYS, *titles(board))]
    return {name: rows[0][name] for name in may if len({row[name] for row in rows}) == 1}


def in_words(name: str, value: str, before: str) -> str:
    """A column's value outside its column, after a separator; empty where there is no value, or nothing failed."""
    if value == "-" or (name == FAILED and value.startswith("0 ")):
        return ""
    phrases = {
        title_of(WORST_CASE): f"worst {value}",
        "n": f"n = {value} attack seeds",
        "networks": f"{value} network(s) a row",
    }
    return before + phrases.get(name, f"{name} {value}")
