"""Rows of text stand where rich's own table would put them, which is slower."""

from __future__ import annotations

import io
import random

import pytest
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.leaderboard.text_rows import GAP, Side, row_text

WORDS = (
    "sat",
    "lrat-trades alpha=2.5",
    "72.78 ± 0.67",
    "",
    "a\n  b",
    "a very long name of a method",
    "表 wide",
    "x" * 33,
)


def printed(part: Text | Table) -> list[str]:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(part)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("seed", range(40))
def test_a_row_is_that_of_a_table(seed: int) -> None:
    draws = random.Random(seed)
    columns = draws.randint(1, 5)
    widths = [draws.randint(4, 20) for _ in range(columns)]
    sides: list[Side] = [draws.choice(("left", "right")) for _ in range(columns)]
    titles, cells = ([draws.choice(WORDS) for _ in range(columns)] for _ in range(2))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), show_edge=False, pad_edge=False)
    for title, width, side in zip(titles, widths, sides, strict=True):
        table.add_column(Text(title), justify=side, overflow="fold", width=width)
    table.add_row(*map(Text, cells))
    console = Console(width=120)
    heading = printed(row_text(list(map(Text, titles)), widths, sides, console, heading=True))
    row = printed(row_text(list(map(Text, cells)), widths, sides, console))
    there = printed(table)
    assert (there[: len(heading)], there[len(heading) + 1 :]) == (heading, row)
