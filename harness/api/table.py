"""A table: rows with named columns, for programs, data frames, and notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, overload

from harness.api.contents import Contents, TableColumn
from harness.errors import UnknownName

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class Table(Sequence[Mapping[str, Any]]):
    """Rows with named columns in a stable order. A row is a mapping; ``len``, indices, slices, and ``for`` work.

    A table does not change. ``to_pandas`` gives a data frame, and a notebook shows the table as HTML.
    """

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    @classmethod
    def of_rows(
        cls,
        title: str,
        columns: Sequence[TableColumn],
        rows: Sequence[Mapping[str, Any]],
        notes: Sequence[str] = (),
    ) -> Table:
        """A table of mappings; each has a value for every column."""
        values = {column.name: [row[column.name] for row in rows] for column in columns}
        return cls(Contents(title, {column.name: column for column in columns}, values, tuple(notes)))

    @property
    def title(self) -> str:
        """What the rows are, in a few words."""
        return self._contents.title

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks to read before the figures."""
        return self._contents.notes

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self._contents.columns)

    def about(self, column: str) -> TableColumn:
        """What a column holds: its kind, its unit, its meaning.

        Raises:
            UnknownName: the table has no such column.
        """
        if column not in self._contents.columns:
            raise UnknownName("column", column, self._contents.columns)
        return self._contents.columns[column]

    def __len__(self) -> int:
        return len(self._contents)

    @overload
    def __getitem__(self, place: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> Table: ...
    def __getitem__(self, place: int | slice) -> Mapping[str, Any] | Table:
        if isinstance(place, slice):
            some = {name: values[place] for name, values in self._contents.values.items()}
            return Table(replace(self._contents, values=some))
        return self._contents.row(place)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return map(self._contents.row, range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self.columns == other.columns and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list has none

    def column(self, name: str) -> np.ndarray[Any, Any]:
        """A column as an array of numpy: integers and truth values of their type, floats with NaN for a missing value.

        Texts, times, JSON, and columns of integers or truth values with a missing value are arrays of objects.

        Raises:
            UnknownName: the table has no such column.
        """
        return self._contents.array(self.about(name).name)

    def to_pandas(self) -> pd.DataFrame:
        """The table as a data frame.

        Integers and truth values are nullable, times are in UTC, and texts that many rows share are categories.

        Raises:
            HarnessError: pandas is not installed.
        """
        from harness.api.frames import frame

        return frame(self._contents)

    def __repr__(self) -> str:
        from harness.api.shown import as_text

        return as_text(self._contents)

    def _repr_html_(self) -> str:
        from harness.api.shown import as_html

        return as_html(self._contents)
