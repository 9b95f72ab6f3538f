"""What goes to a terminal: texts of a store, of data, and of plugins are shown, and change nothing there."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment

from harness.errors import visible_lines

if TYPE_CHECKING:
    from rich.table import Table

WIDEST = 10**6  # no table is wider
NAME_WIDTH = 14  # a column of words is not made narrower, where a table is too wide


class Terminal(Console):
    """rich's console, on which no text is markup, and control and invisible characters become escapes.

    In a table, a text with such characters takes more room than rich reckons with: it is cut, and moves nothing else.
    No figure of a table is cut, however narrow the terminal: a cut figure would read as another number.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich does it, but for lines that are wider than the terminal: these are not cut."""
        super().print(*objects, **{"crop": False} | options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Every text that is printed passes here; rich's own control codes stay."""
        tables = sys.modules.get("rich.table")  # imported by whoever made a table; a leaderboard needs none
        if tables is not None and isinstance(renderable, tables.Table):
            options = self._whole(renderable, options or self.options)
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible_lines(segment.text), segment.style)

    def _whole(self, table: Table, options: ConsoleOptions) -> ConsoleOptions:
        """How to render a table so that no word is cut: with less room between columns, then with long names folded.

        Figures stand at the right, or in a column that does not wrap. If they need more room than there is, the table
        is wider than the terminal.
        """
        least, most = self._widths(table)
        around = self._around(table, most)
        if around + sum(most) <= options.max_width:
            return options
        if around + sum(least) > options.max_width:
            table.padding, table.show_edge = (0, 1, 0, 0), False
            around = self._around(table, most)
        words = [column.justify != "right" and not column.no_wrap for column in table.columns]
        if around + sum(least) > options.max_width:
            least = [min(width, NAME_WIDTH) if folds else width for width, folds in zip(least, words, strict=True)]
        widths = [*least]
        for _ in range(options.max_width - around - sum(least)):  # each to the column that has the most lines
            widths[max(range(len(widths)), key=lambda place: most[place] / max(1, widths[place]))] += 1
        for column, width in zip(table.columns, widths, strict=True):
            column.width, column.overflow = width, "fold"
        return options.update(width=max(options.max_width, around + sum(widths)))

    def _widths(self, table: Table) -> tuple[list[int], list[int]]:
        """For each column the width of its longest word, and of its longest line."""
        found = []
        for column in table.columns:
            texts = (column.header, *column.cells)
            cells = [Measurement.get(self, self.options.update(width=WIDEST), text) for text in texts]
            most = max(cell.maximum for cell in cells)
            found.append((most if column.no_wrap else max(cell.minimum for cell in cells), most))
        return [least for least, _ in found], [most for _, most in found]

    def _around(self, table: Table, most: list[int]) -> int:
        """The width of what stands beside and between the columns, whose longest lines have these widths."""
        return Measurement.get(self, self.options.update(width=WIDEST), table).maximum - sum(most)
