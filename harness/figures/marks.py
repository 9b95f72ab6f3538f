"""The data of a figure: one row for each mark that is drawn, as plain values."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.errors import visible
from harness.leaderboard.csv_cells import csv_cell

Value = str | int | float | None
"""A text, a count, a measured number, or None where there is none."""


@dataclass(frozen=True)
class Marks:
    """Rows that have the same columns; a drawing shows these rows and nothing else.

    What holds for the whole figure, such as its data set, stands in a column of its own, with the same value in every
    row. So the CSV alone is enough to draw the figure again.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Value], ...]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Value]]) -> Marks:
        """Make the data of a figure from its rows.

        Raises:
            ValueError: there is no row, the rows differ in their columns, or a number is not finite.
        """
        held = tuple(dict(row) for row in rows)
        if not held:
            raise ValueError("a figure without marks")
        columns = tuple(held[0])
        for row in held:
            if tuple(row) != columns:
                raise ValueError(f"a row has the columns {', '.join(row)}, and the first row {', '.join(columns)}")
            if bad := [name for name, value in row.items() if isinstance(value, float) and not math.isfinite(value)]:
                raise ValueError(f"{bad[0]} is {row[bad[0]]}: only finite numbers can be drawn")
        return cls(columns, held)

    def csv(self) -> str:
        """The rows as CSV, with a header. Numbers have all their digits; an empty field stands for None."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        for row in self.rows:
            writer.writerow(
                "" if value is None else csv_cell(value) if isinstance(value, str) else repr(value)
                for value in row.values()
            )
        return text.getvalue()

    def shown(self) -> Marks:
        """The rows as a drawing writes them: control and invisible characters in texts are escapes."""
        rows = [{name: visible(v) if isinstance(v, str) else v for name, v in row.items()} for row in self.rows]
        return Marks(self.columns, tuple(rows))

    def only(self, column: str) -> Value:
        """The value that every row has in a column.

        Raises:
            ValueError: the rows differ in it.
        """
        first, *others = self.distinct(column)
        if others:
            raise ValueError(f"the rows differ in {column}")
        return first

    def distinct(self, column: str) -> list[Value]:
        """The different values of a column, in the order in which they first appear."""
        return list(dict.fromkeys(row[column] for row in self.rows))

    def where(self, **values: Value) -> list[Mapping[str, Value]]:
        """The rows that have these values, in their order; there may be none."""
        return [row for row in self.rows if all(row[column] == value for column, value in values.items())]


def number(row: Mapping[str, Value], column: str) -> float:
    """The number in a column of a row.

    Raises:
        TypeError: it is a text, or None.
    """
    value = row[column]
    if isinstance(value, str) or value is None:
        raise TypeError(f"{column} is {value!r}: not a number")
    return float(value)
