"""The leaderboard for a terminal. Reported rows are dim and stand on boards of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.text import Text

from harness.leaderboard.board import REPORTED, Board
from harness.leaderboard.cells import (
    ALWAYS,
    cells,
    failed_lines,
    flag_lines,
    header,
    heading,
    in_words,
    name_text,
    setting_titles,
    shared,
    spread_lines,
    titles,
    wilson_lines,
)
from harness.leaderboard.columns import WORST_CASE, title_of
from harness.leaderboard.failed_text import failed_column
from harness.leaderboard.legend import answer, flag_summary, legend, marks, notes, short_legend, unchecked
from harness.leaderboard.rank_spread import rank_line
from harness.leaderboard.text_rows import GAP, NARROW, Side, row_text

MORE = "see harness leaderboard --legend"
_PLACE = ("rank", "method", "seed", "network", "checkpoint")
_WORDS = ("method", "network", "checkpoint")
_WORD_WIDTH = 14


@dataclass(frozen=True, kw_only=True)
class Detail:
    """How much is printed.

    Attributes:
        intervals: 95 % intervals, over test images and over training seeds.
        explained: the whole legend, and the reason of each flag, in place of one line each.
        brief: rank, method, and the figure that ranks, alone.
    """

    intervals: bool = False
    explained: bool = False
    brief: bool = False


def render_table(boards: Sequence[Board], console: Console, detail: Detail | None = None) -> Iterator[RenderableType]:
    """For each board: what its rows share, the answer, the table, and flags; then the legend, and remarks on rows.

    A column in which all rows agree is printed once, above the table. Where the other columns do not fit, figures are
    written without spaces (``72.78±0.67``); then columns stand closer together; then the network and the checkpoint
    move below the method's name; then all that is no attack; then the figures are split over several tables. No figure
    is ever cut: a cut figure would read as another number.
    """
    detail = detail or Detail()
    for number, board in enumerate(boards):
        if number:
            yield Text()
        yield from _board(board, console, detail)
    if boards and not detail.brief:
        yield Text()
        yield from map(
            Text, legend(boards) if detail.explained else [*marks(boards), f"{short_legend(boards)}; {MORE}"]
        )
        yield from (Text(note, style="dim") for note in notes(boards))


def _board(board: Board, console: Console, detail: Detail) -> Iterator[RenderableType]:
    names = header(board)[:-1]  # the source is in the heading
    if detail.brief:
        headline = title_of(board.ranked_by)
        raised = [*failed_column(board), *(["flags"] if any(row.warnings for row in board.rows) else [])]
        names = [name for name in names if name in (*_PLACE, *setting_titles(board).values(), headline, *raised)]
    rows = [dict(zip(header(board), cells(board, row), strict=True)) for row in board.rows]
    common = shared(board, names)
    line = Text(heading(board), style="bold")
    line.append("".join(in_words(name, value, "; ") for name, value in common.items()), style="not bold")
    yield line
    if not detail.brief:
        yield Text(answer(board))
    yield Text()
    shown = [name for name in names if name not in common]
    with_intervals = [dict(zip(header(board), cells(board, row, "\n"), strict=True)) for row in board.rows]
    inside = detail.intervals and _fits(with_intervals, shown, console)
    yield from _tables(board, with_intervals if inside else rows, shown, console)
    if detail.intervals:
        ranks = [told] if (told := rank_line(board)) else []
        yield from map(Text, [*([] if inside else wilson_lines(board)), *spread_lines(board), *ranks])
    if not detail.brief:
        yield from map(Text, failed_lines(board))
        yield from map(Text, flag_lines(board) if detail.explained else flag_summary(board))
        yield from map(Text, unchecked(board))


def _tables(
    board: Board, rows: Sequence[dict[str, str]], shown: Sequence[str], console: Console
) -> Iterator[RenderableType]:
    """One table if it fits the console; else several."""
    figures = [name for name in shown if name in titles(board)]
    tight = [row | {name: row[name].replace(" ± ", "±") for name in figures} for row in rows]
    for texts, gap in ((rows, GAP), (tight, GAP), (tight, NARROW)):
        if _fits(texts, shown, console, gap=gap):
            yield from _table(board, texts, shown, console, gap)
            return
    worst = title_of(WORST_CASE)
    attacks = [name for name in figures if name != worst] or figures
    kept = [name for name in shown if name not in _WORDS or name in ALWAYS]
    folded = _folded(tight, shown, kept)
    place = max(len(row["method"].split("\n")[-1]) for row in folded)
    if _fits(folded, kept, console, room=max(0, place - _WORD_WIDTH)):
        yield from _table(board, folded, kept, console)
        return
    folded = _folded(tight, shown, [*ALWAYS, *attacks])
    parts = _in_parts(folded, [name for name in shown if name in ALWAYS], attacks, console)
    in_full = [texts | {"method": name_text(row)} for texts, row in zip(tight, board.rows, strict=True)]
    for number, names in enumerate(parts):
        if number:
            yield Text()
        yield from _table(board, folded if number == 0 else in_full, names, console)


def _fits(
    rows: Sequence[dict[str, str]], shown: Sequence[str], console: Console, room: int = 0, gap: int = GAP
) -> bool:
    return sum(_least_widths(rows, shown)) + gap * (len(shown) - 1) + room <= console.width


def _in_parts(
    rows: Sequence[dict[str, str]], always: Sequence[str], figures: Sequence[str], console: Console
) -> list[list[str]]:
    """Split the figures over as few tables as they fit into; each table has rank, method, and at least one figure."""
    parts = [[*always]]
    for name in figures:
        if len(parts[-1]) > len(always) and not _fits(rows, [*parts[-1], name], console):
            parts.append([*always])
        parts[-1].append(name)
    return parts


def _table(
    board: Board, rows: Sequence[dict[str, str]], shown: Sequence[str], console: Console, gap: int = GAP
) -> Iterator[RenderableType]:
    """Headings, a rule, and the rows."""
    widths = _widths(rows, shown, console, gap)
    sides: list[Side] = ["left" if name in _WORDS else "right" for name in shown]
    names = [_broken(name, width) for name, width in zip(shown, widths, strict=True)]
    heading = row_text(names, widths, sides, console, heading=True, gap=gap)
    heading.stylize("bold")
    yield heading
    yield Text("─" * (sum(widths) + gap * (len(shown) - 1)))
    figures, style = set(titles(board)), "dim italic" if board.source == REPORTED else ""
    for row in rows:
        line = row_text([_cell(row[name], name in figures) for name in shown], widths, sides, console, gap=gap)
        line.stylize(style)
        yield line


def _broken(name: str, width: int) -> Text:
    """A heading that breaks after its hyphens where it is wider than its column."""
    return Text(name if len(name) <= width else name.replace("-", "-\n"))


def _cell(text: str, figure: bool) -> Text:
    if not figure:
        return Text(text)
    median, _, interval = text.partition("\n")
    return Text.assemble(median, ("\n" + interval, "dim")) if interval else Text(median)


def _widths(rows: Sequence[dict[str, str]], shown: Sequence[str], console: Console, gap: int) -> list[int]:
    """The width of each column: the least, and what room is left to words first, then to headings."""
    widths = _least_widths(rows, shown)
    room = console.width - sum(widths) - gap * (len(shown) - 1)
    for number in sorted(range(len(shown)), key=lambda number: shown[number] not in _WORDS):
        name = shown[number]
        wanted = max(len(line) for text in (name, *(row[name] for row in rows)) for line in text.split("\n"))
        more = max(0, min(wanted - widths[number], room))
        widths[number], room = widths[number] + more, room - more
    return widths


def _least_widths(rows: Sequence[dict[str, str]], shown: Sequence[str]) -> list[int]:
    """The smallest width of each column: words and headings may be folded, figures may not."""
    least = []
    for name in shown:
        cell = max(len(line) for row in rows for line in row[name].split("\n"))
        heading = min(max(map(len, name.replace("-", "- ").split())), _WORD_WIDTH)
        least.append(max(heading, min(cell, _WORD_WIDTH) if name in _WORDS else cell))
    return least


def _folded(rows: Sequence[dict[str, str]], shown: Sequence[str], kept: Sequence[str]) -> list[dict[str, str]]:
    """The rows with the columns that are not ``kept`` written below the method's name."""
    rest = [name for name in shown if name not in kept]
    return [
        row | {"method": f"{row['method']}\n  {told}" if (told := _told(row, rest)) else row["method"]} for row in rows
    ]


def _told(row: dict[str, str], names: Sequence[str]) -> str:
    """Some columns of a row in one line; a network and a checkpoint need no title."""
    said = [row[name] if name in _WORDS else in_words(name, row[name], "") for name in names]
    return ", ".join(text for text in said if text)
