"""Rows of a table as lines of text: rich's tables take a millisecond a row, and a board may have a thousand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal

from rich.console import Console
from rich.text import Text

GAP, NARROW = 2, 1  # characters between two columns
Side = Literal["left", "right"]


def row_text(
    cells: Sequence[Text],
    widths: Sequence[int],
    sides: Sequence[Side],
    console: Console,
    *,
    heading: bool = False,
    gap: int = GAP,
) -> Text:
    """A row, of several lines where a cell has several or is folded to its column's width.

    Args:
        widths: of the columns, in characters of a terminal.
        sides: where the text of each column stands.
        heading: whether short cells stand at the bottom.
        gap: characters between two columns.
    """
    folded = [_lines(cell, width, console) for cell, width in zip(cells, widths, strict=True)]
    if heading:
        most = max(map(len, folded))
        folded = [[Text()] * (most - len(lines)) + lines for lines in folded]
    row = Text()
    for number, parts in enumerate(zip_longest(*folded)):
        row.append("\n" * bool(number))
        for place, (part, width, side) in enumerate(zip(parts, widths, sides, strict=True)):
            room = " " * (width - (part.cell_len if part is not None else 0))
            row.append(" " * gap * bool(place) + (room if side == "right" else ""))
            if part is not None:
                row.append_text(part)
            row.append(room if side == "left" else "")
    return row


def _lines(cell: Text, width: int, console: Console) -> list[Text]:
    if "\n" not in cell.plain and cell.cell_len <= width:
        return [cell]
    lines = list(cell.wrap(console, width, overflow="fold"))
    for line in lines:
        line.rstrip()
    return lines
