"""Tables on a terminal of any width: no figure is cut, and no line is longer than it must be."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as some
from rich import box
from rich.table import Table
from rich.text import Text

from harness.api.terminal import NAME_WIDTH, Terminal

BOXES = {"head": box.SIMPLE_HEAD, "heavy": box.HEAVY_HEAD, "none": None}
FIGURES = some.decimals(-999, 999, places=2).map(lambda value: f"{value:+.2f} [-3.3, +1.7]")
WORDS = some.text("abcdefgh", min_size=1, max_size=30)
ROWS = some.lists(some.tuples(WORDS, FIGURES, FIGURES, FIGURES), min_size=1, max_size=4)


def table_of(rows: Sequence[tuple[str, ...]], how: box.Box | None) -> Table:
    table = Table(box=how, padding=(0, 1))
    for name in ("method", "difference", "p", "significant"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def printed(table: Table, width: int) -> list[str]:
    text = io.StringIO()
    Terminal(file=text, width=width, color_system=None).print(table)
    return [line.rstrip() for line in text.getvalue().splitlines()]


@pytest.mark.parametrize("how", BOXES.values(), ids=BOXES)
@given(rows=ROWS, width=some.integers(1, 150))
def test_every_word_of_a_figure_is_whole(how: box.Box | None, rows: Sequence[tuple[str, ...]], width: int) -> None:
    lines = printed(table_of(rows, how), width)
    words = " ".join(lines).replace("│", " ").replace("┃", " ").split()
    for _, *figures in rows:
        for word in " ".join(figures).split():
            assert word in words
    assert "…" not in "".join(lines)
    least = NAME_WIDTH + sum(map(len, ("difference", "+999.00", "significant")))  # the widest words that there can be
    assert max(map(len, lines)) <= max(width, least + 4 * len("│ ") + 2)


def test_a_table_that_fits_is_as_rich_makes_it() -> None:
    rows = [("sat", "+0.50 [-3.3, +1.7]", "1", "2"), ("lrat", "-0.25 [-3.3, +1.7]", "3", "4")]
    (head,) = [line for line in printed(table_of(rows, box.SIMPLE_HEAD), 80) if "method" in line]
    assert head == "  method           difference   p   significant"


def test_by_hand_what_gets_the_room() -> None:
    """50 letters: 7 beside and between the columns; 14, 10, 5, and 11 for the widest words, a long name being folded.

    The 3 that are left go to the difference, which is the longest for its room: 12 letters are all of it but one word.
    """
    lines = printed(table_of([("a" * 20, "+0.50 [-3.3, +1.7]", "0.664", "no")], box.SIMPLE_HEAD), 50)
    assert lines == [
        "method             difference      p  significant",
        "─" * 50,
        "aaaaaaaaaaaaaa   +0.50 [-3.3,  0.664           no",
        "aaaaaa                  +1.7]",
    ]
