"""Lines and tables of comparisons: what is named in them may be somebody else's."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from harness.errors import visible

WORDS = ("first", "second", "class", "test", "what", "row")
"""Columns of words, which stand at the left; figures stand at the right."""


def text_line(text: str) -> Text:
    """One line; control characters become escapes."""
    return Text(visible(text))


def bold_line(text: str) -> Text:
    """A heading; a line break at its beginning is an empty line."""
    heading = text.removeprefix("\n")
    return Text("\n" * (len(text) - len(heading)) + visible(heading), style="bold")


def add_row(table: Table, *cells: str) -> None:
    """Add a row; rich must not read brackets in a name as markup."""
    table.add_row(*map(text_line, cells))


def table_of(*names: str) -> Table:
    """A table with these columns and no rows yet."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for name in names:
        table.add_column(name, justify="left" if name in WORDS else "right")
    return table
