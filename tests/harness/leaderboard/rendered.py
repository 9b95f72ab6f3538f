"""Hand-made boards, and what the formats make of them."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from harness.api.terminal import Terminal
from harness.leaderboard.board import MEASURED, REPORTED, Board, Row, Selection
from harness.leaderboard.flags import Flag
from harness.leaderboard.pairs import Decision
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_table import Detail, render_table
from harness.plugin.images import Images
from harness.statistics.figures import Figure, Interval, Spread
from harness.store.store import Store

COLUMNS = ("natural", "pgd", "cw", "autoattack", "worst_case")
TITLES = [*COLUMNS[:-1], "worst case"]


def make_row(method: str = "sat", rank: int | None = 1, **changes: Any) -> Row:
    values: dict[str, Any] = {
        "method": method,
        "settings": {},
        "wrappers": (),
        "network": "smallcnn",
        "network_settings": {},
        "checkpoint": "last",
        "train_seeds": 1,
        "metrics": {
            "natural": Figure(100 / 3, None, 1),
            "pgd": Figure(55.5, 0.125, 5),
            "cw": Figure(54.25, 0.0, 5),
            "autoattack": None,
            "worst_case": None,
        },
        "runs": (3,),
        "unseeded": frozenset({"natural"}),
        "rank": rank,
    }
    return Row(**(values | changes))


SPREAD = {
    "natural": Figure(98.0, None, 1, Spread(98.1, 0.2, 3)),
    "pgd": Figure(100.0, 100 / 7, 5, Spread(99.5, 0.35, 3)),
    "cw": Figure(0.0, 0.0, 4, Spread(0.25, 0.5, 3)),
    "autoattack": Figure(66.6, 0.07, 5, Spread(66.5, 0.1, 3)),
    "worst_case": Figure(40.0, None, 4, Spread(40.5, 0.5, 3)),
}


MEASURED_BOARD = Board(
    "digits",
    MEASURED,
    "tiny",
    "0123456789abcdef" * 4,
    Images(360),
    COLUMNS,
    (
        make_row(
            "lrat",
            settings={"kappa": 5.0, "floor": "natural"},
            wrappers=("awp gamma=0.01",),
            network_settings={"width": 4},
            train_seeds=3,
            metrics=SPREAD,
            runs=(1, 2, 4),
            worst_case_seeds={"natural": 1, "pgd": 5, "cw": 4, "autoattack": 5},
        ),
        make_row("sat", None),
    ),
    ranked_by="autoattack",
)


REPORTED_BOARD = Board(
    "svhn",
    REPORTED,
    "Someone 2020",
    "Someone 2020",
    None,
    ("natural", "pgd"),
    (
        make_row(
            train_seeds=None,
            metrics={"natural": Figure(92.38, None, 1), "pgd": Figure(55.97, 0.18, 5)},
            notes=("pgd: probably a misprint",),
            runs=(),
        ),
    ),
    ranked_by="pgd",
)
BOARDS = [MEASURED_BOARD, REPORTED_BOARD]


def paper() -> list[Board]:
    return boards(Store.read("sqlite://"), Selection(protocol="Gao et al. 2021"))


def both() -> list[tuple[str, Sequence[Board]]]:
    return [("hand-made", BOARDS), ("paper", paper())]


def every_figure(chosen: Sequence[Board]) -> list[tuple[str, str, str, str, Figure]]:
    """Data set, source, row, attack, and figure of every figure there is."""
    return [
        (board.dataset, board.source, f"{row.label}, {row.arch_label}, {row.checkpoint}", attack, figure)
        for board in chosen
        for row in board.rows
        for attack, figure in row.metrics.items()
        if figure is not None
    ]


def table_rows(markdown: str) -> list[list[str]]:
    """The cells of every table line; a pipe after a backslash is text."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in lines)
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def printed(chosen: Sequence[Board], width: int, **detail: bool) -> str:
    text = io.StringIO()
    console = Console(file=text, width=width, color_system=None)
    for part in render_table(chosen, console, Detail(**detail)):
        console.print(part)
    return text.getvalue()


def tables_alone(text: str) -> str:
    """What stands below each table's rule, to the empty line that ends it; ``±`` between spaces at every width."""
    lines, inside = [], False
    for line in text.splitlines():
        inside = (inside and bool(line.strip())) or "────" in line
        if inside:
            lines.append(re.sub(" ?± ?", " ± ", line))
    return "\n".join(lines)


TIED_BOARD = Board(
    "digits",
    MEASURED,
    "tiny",
    "f" * 64,
    Images(200),
    ("pgd",),
    (
        make_row("best", 1, metrics={"pgd": Figure(60.0, None, 1)}),
        make_row(
            "near",
            2,
            metrics={"pgd": Figure(58.0, None, 1)},
            versus_best=Decision("McNemar", 200, -2.0, None, 0.25, 0.5),
        ),
        make_row(
            "far",
            3,
            metrics={"pgd": Figure(40.0, None, 1)},
            versus_best=Decision("paired t", 3, -20.0, Interval(-22.0, -18.0), 0.001, 0.002),
        ),
        make_row("unlike", 4, metrics={"pgd": Figure(30.0, None, 1)}),
    ),
    ranked_by="pgd",
)


FLAGGED = dataclasses.replace(
    MEASURED_BOARD,
    rows=(
        make_row("lrat", flags=()),
        make_row("sat", 2, flags=(Flag("Z", "zero-gradient", 1, 2, "no gradient"), Flag("A", "gap", 2, 2, "a gap"))),
        make_row("theirs", 3, flags=(Flag("W", "autoattack-random", 1, 1, "it draws"),), trained_here=False),
        make_row("trades", 4),
    ),
)


def table_text(given: list[Board], *, terminal: bool = False) -> str:
    text = io.StringIO()
    console = Terminal(file=text, width=200, color_system=None, force_terminal=terminal)
    for part in render_table(given, console):
        console.print(part)
    return text.getvalue()
