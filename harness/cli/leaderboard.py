"""``harness leaderboard``: the figures, ranked where they can be compared, in any format."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.cli import completion
from harness.cli.console import board_page, board_text, document_page, page_style, print_line, print_page
from harness.cli.grouped import grouped
from harness.cli.kept_pages import kept_page
from harness.cli.options import DB, DB_VARIABLE, DEFAULT_DB, PLUGINS, Rows, comma_separated, of_output, of_rows
from harness.cli.stores import there
from harness.errors import HarnessError, SettingError
from harness.leaderboard.costs import Order
from harness.runtime.collector import collector_paused

if TYPE_CHECKING:
    from harness.leaderboard.board import Board, Selection

Format = Literal["table", "markdown", "latex", "csv", "json", "html", "bibtex"]
Source = Literal["measured", "reported"]
SUFFIXES: dict[str, Format] = {
    **{".md": "markdown", ".tex": "latex", ".csv": "csv", ".json": "json"},
    **{".html": "html", ".bib": "bibtex", ".txt": "table"},
}
DATA = ("json", "csv")  # programs read these: a selection that matches nothing is an empty document
MOST_ROWS = 100  # of a board in a table, which a person reads; the heading says how many there are
HOLDS_BIBTEX = ("table", "markdown", "latex", "html")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Which rows and figures of the boards are shown; ranks stay those of the whole board."""

    source: Source | None = of_rows(
        "--source <measured|reported>", "Boards of this source alone: measured here, or reported by publications."
    )
    methods: list[str] | None = of_rows(
        "--method NAME",
        "Show this method with all its variants, or one label; may be repeated.",
        complete=completion.methods,
    )
    columns: str | None = of_rows(
        "--columns A,B",
        "Show these figures alone, such as natural,worst_case; boards that have none of them are left out.",
        complete=completion.column_list,
    )
    top: int | None = of_rows(
        "--top N",
        "Show the first N rows of each board, and those of equal rank with the last.",
        shown=f"{MOST_ROWS} in a table, else all",
    )
    by_seed: bool = of_rows("--by-seed", "Show one line for each training seed, under the rank of its row.", False)
    order_by: Order = of_rows(
        "--order-by <rank|passes|points-per-pass>",
        "With --cost: put the cheapest rows first, or those with the most points for a pass; ranks stay.",
        "rank",
    )


@dataclass(frozen=True, kw_only=True)
class Look:
    """How the boards are written."""

    form: Format | None = of_output(
        "--format <table|markdown|latex|csv|json|html|bibtex>",
        "The format of the output.",
        shown="of the suffix of --out, else table",
    )
    out: Path | None = of_output("--out FILE", "Write to this file: .md .tex .csv .json .html .bib .txt name a format.")
    layout: Literal["board", "paper"] | None = of_output(
        "--layout <board|paper>",
        "For LaTeX: as ranked, or as the paper's tables: checkpoints side by side, networks below each other.",
        shown="board",
    )
    bibtex: bool = of_output("--bibtex", "Add the BibTeX of the methods and publications that are shown.", False)
    intervals: bool = of_output(
        "--intervals", "In a table: show 95 % intervals, and the spread over networks. In JSON: those of ranks.", False
    )
    cost: bool = of_output(
        "--cost", "Show what the training cost, in passes and hours, and which rows no other beats in both.", False
    )
    legend: bool = of_output("--legend", "In a table: explain every figure, mark, and flag.", False)
    brief: bool = of_output("--brief", "In a table: show rank, method, and the figure that ranks.", False)

    def format(self) -> Format:
        """The format that was chosen, by name or by suffix.

        Raises:
            SettingError: they contradict each other, the suffix names no format, or an option does not fit.
        """
        suffix = self.out.suffix.lower() if self.out is not None else ""
        named = SUFFIXES.get(suffix)
        if self.out is not None and self.form is None and named is None:
            raise SettingError(
                f"--out {self.out} is refused: {suffix or 'a name without a suffix'} names no format; give --format, or"
                f" one of {' '.join(SUFFIXES)}"
            )
        if self.form is not None and named not in (None, self.form):
            raise SettingError(f"--out {self.out} is refused: {suffix} is {named}, and --format is {self.form}")
        form = self.form or named or "table"
        for option, given, fits in (
            ("--layout", self.layout is not None, ("latex",)),
            ("--bibtex", self.bibtex, HOLDS_BIBTEX),
            ("--intervals", self.intervals, ("table", "json")),
            ("--legend", self.legend, ("table",)),
            ("--brief", self.brief, ("table",)),
        ):
            if given and form not in fits:
                raise SettingError(f"{option} is refused: it is for {' and '.join(fits)}, and the format is {form}")
        if self.brief and (self.intervals or self.legend):
            raise SettingError("--brief is refused beside --intervals and --legend; leave one out")
        if self.cost and (self.brief or form == "bibtex" or self.layout == "paper"):
            raise SettingError("--cost is refused beside --brief, --layout paper, and --format bibtex; leave one out")
        return form


@grouped
def leaderboard(
    *,
    dataset: str | None = of_rows("--dataset NAME", "Rows on this data set alone.", complete=completion.datasets),
    rows: Rows,
    sort: str | None = of_rows(
        "--sort COLUMN", "Rank by this attack, or by worst_case.", shown="the last attack", complete=completion.attacks
    ),
    shown: Shown,
    look: Look,
    plugins: list[Path] | None = PLUGINS,
    db: str | None = DB,
) -> None:
    """Show the leaderboard: figures measured here, and figures that papers report, ranked apart."""
    from harness.leaderboard.board import Selection

    form = look.format()
    columns = comma_separated("--columns", shown.columns) or ()
    if look.brief and columns:
        raise SettingError("--brief is refused beside --columns: it shows the figure that ranks; choose it with --sort")
    if shown.by_seed and look.layout == "paper":
        raise SettingError("--by-seed is refused beside --layout paper, which has one line a method; leave one out")
    if shown.order_by != "rank" and not look.cost:
        raise SettingError(f"--order-by {shown.order_by} is refused without --cost, which counts the passes")
    if shown.top is not None and shown.top < 1:
        raise SettingError(f"--top {shown.top} is refused: it must be 1 or more")
    top = shown.top if shown.top is not None or form != "table" else MOST_ROWS
    selection = Selection(
        dataset=dataset,
        sort=_column(sort) if sort is not None else None,
        source=shown.source,
        methods=tuple(shown.methods or ()),
        columns=tuple(map(_column, columns)),
        top=top if shown.order_by == "rank" else None,  # else the first rows in that order are shown
        by_seed=shown.by_seed,
        **vars(rows),
    )
    files = tuple(plugins or ())
    costs = Costs(shown.order_by, top, files) if look.cost else None
    if look.out is not None:
        chosen = _chosen(db, selection, form, costs, intervals=look.intervals)
        _write(look.out, _text(chosen, form, look, files, everything=bool(columns)) + "\n")
        return
    place = None
    if not files and not look.bibtex and not look.cost and form != "bibtex":  # these are read from files of plugins
        database = db or os.environ.get(DB_VARIABLE) or DEFAULT_DB  # as the store finds it: --db may be empty
        place = kept_page(database, [repr(selection), repr(look), page_style()])
    page = place.text() if place is not None else None
    if page is None:
        began = time.perf_counter()
        with collector_paused():
            boards = _chosen(db, selection, form, costs, intervals=look.intervals)
            page = _page(boards, form, look, files, everything=bool(columns))
        if place is not None and boards:
            place.keep(page, time.perf_counter() - began)
    print_page(page)


@dataclass(frozen=True)
class Costs:
    """How costs are shown: the order of the rows, how many, and the files of plugins that count the passes."""

    order: Order
    top: int | None
    files: Sequence[Path]


def _chosen(
    db: str | None, selection: Selection, form: Format, costs: Costs | None, *, intervals: bool
) -> Sequence[Board]:
    """The boards to show; none, and a line that says why, only where a program reads the output.

    Args:
        costs: None: they are not shown.
        intervals: whether the ranks have intervals, too.
    Raises:
        HarnessError: no row matches.
    """
    from harness.leaderboard.ranking import boards, unranked
    from harness.leaderboard.showing import no_match
    from harness.store.store import Store

    store = Store.read(there(db))
    chosen = boards(store, selection)
    if not chosen:
        reason = no_match(unranked(store), selection)
        if form not in DATA:
            raise HarnessError(reason)
        print_line(f"harness: {reason}", error=True)
    if intervals:
        from harness.leaderboard.rank_spread import with_rank_intervals

        chosen = [with_rank_intervals(store, board) for board in chosen]
    if costs is not None:
        from harness.leaderboard.cost_columns import in_order
        from harness.planning.spent import with_costs

        priced = (with_costs(store, board, costs.files) for board in chosen)
        chosen = [in_order(board, costs.order, costs.top) for board in priced]
    store.close()
    return chosen


def _page(boards: Sequence[Board], form: Format, look: Look, files: Sequence[Path], *, everything: bool) -> str:
    """What is printed. A table has the colours and the width of the terminal."""
    if form != "table":
        return document_page(_text(boards, form, look, files, everything=everything))
    page = board_page(boards, intervals=look.intervals, explained=look.legend, brief=look.brief)
    return page + document_page(f"\n{_bibtex(boards, files)}") if look.bibtex else page


def _column(name: str) -> str:
    """A column as it is named in data; its title is understood, too."""
    from harness.leaderboard.columns import WORST_CASE, title_of

    return WORST_CASE if name.replace("-", " ") == title_of(WORST_CASE) else name


def _text(boards: Sequence[Board], form: Format, look: Look, files: Sequence[Path], *, everything: bool) -> str:
    """The boards in a format, for a file.

    Args:
        everything: show also the columns that the paper's layout leaves out.
    """
    added = _bibtex(boards, files) if look.bibtex else ""
    if form == "json":
        from harness.leaderboard.render_json import render_json

        return render_json(boards)
    if form == "csv":
        from harness.leaderboard.render_csv import render_csv

        return render_csv(boards)
    if form == "bibtex":
        return _bibtex(boards, files)
    if form == "latex":
        from harness.leaderboard.render_latex import render_latex

        paper = look.layout == "paper"
        return render_latex(boards, paper=paper, worst_case=everything or not paper, bibtex=added)
    if form == "html":
        from harness.leaderboard.render_html import render_html

        return render_html(boards, bibtex=added)
    if form == "markdown":
        from harness.leaderboard.render_markdown import render_markdown

        return render_markdown(boards, bibtex=added)
    text = board_text(boards, intervals=look.intervals, explained=look.legend, brief=look.brief)
    return f"{text}\n\n{added}" if added else text


def _bibtex(boards: Sequence[Board], files: Sequence[Path]) -> str:
    from harness.leaderboard.render_bibtex import render_bibtex

    return render_bibtex(boards, files)


def _write(path: Path, text: str) -> None:
    """Write a file completely or not at all.

    Raises:
        HarnessError: it cannot be written, or is no ordinary file.
    """
    from harness.files import atomic_write_bytes, resolved

    place = resolved(path)  # a link stays, and the file that it names is replaced
    if place.exists() and not place.is_file():
        raise HarnessError(f"--out {path} is refused: it is there, and is no ordinary file; give another name")
    try:
        atomic_write_bytes(place, text.encode("utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise HarnessError(
            f"--out {path} cannot be written ({reason}); give a file in a folder that is there"
        ) from None
