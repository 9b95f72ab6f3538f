"""What a table holds: columns with their meanings, and a value of each column for each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.api.packed import PartlyMissing, Positions, Repeated

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["int", "float", "bool", "text", "category", "time", "json"]


@dataclass(frozen=True)
class TableColumn:
    """What a column holds. In each kind a value may be missing: it is None.

    Attributes:
        kind: ``int``, ``float``, ``bool``, ``text``, ``category`` (a text that many rows share), ``time`` (a
            ``datetime`` in UTC), or ``json`` (dicts and lists).
        unit: such as ``%`` or ``s``; empty for numbers without a unit, and for other kinds.
        meaning: what the value is, in one line.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str


@dataclass(frozen=True, eq=False)
class Contents:
    """The contents of a table.

    Attributes:
        title: what the rows are, in a few words.
        values: the values of each column: a list, an array, or packed.
        notes: remarks to read before the figures.
    """

    title: str
    columns: Mapping[str, TableColumn]
    values: Mapping[str, Sequence[Any]]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(values) for values in self.values.values()}
        assert list(self.columns) == list(self.values)
        assert len(lengths) == 1, lengths

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def row(self, place: int) -> dict[str, Any]:
        """One row, in Python's own types."""
        return {name: _plain(values[place]) for name, values in self.values.items()}

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """A column as an array; see ``Table.column``."""
        import numpy as np

        values, kind = self.values[name], self.columns[name].kind
        if isinstance(values, Positions | PartlyMissing):
            return values.array()
        if isinstance(values, Repeated):
            return np.repeat(_array(values.values, kind), values.counts())
        return _array(values, kind)


def _plain(value: Any) -> Any:
    """A value of Python's own types, of a number from an array; None for NaN of an array."""
    if type(value).__module__ != "numpy":
        return value
    plain = value.item()
    return None if plain != plain else plain


def _array(values: Sequence[Any], kind: Kind) -> np.ndarray[Any, Any]:
    import numpy as np

    if isinstance(values, np.ndarray):
        return values
    types: dict[Kind, Any] = {"int": np.int64, "float": np.float64, "bool": np.bool_}
    if kind == "float":
        values = [np.nan if value is None else value for value in values]
    if kind in types and not any(value is None for value in values):
        return np.array(values, types[kind])
    filled = np.empty(len(values), object)
    filled[:] = values
    return filled
