"""Filters of tables: a keyword names a column, its value is what the column must have, or a list of such values."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

from harness.api.contents import TableColumn
from harness.errors import HarnessError, UnknownName, listed, near_misses, normal

NAMES = "names"
"""The key of a row under which are further names: column -> the names that a filter may give for the row's value."""

Rows = Sequence[Mapping[str, Any]]


def chosen(rows: Rows, columns: Iterable[TableColumn], filters: Mapping[str, object]) -> Rows:
    """The rows that pass every filter.

    Args:
        filters: column -> a value, or several. ``arch``, as the command line says, is the column ``network``.
    Raises:
        UnknownName: there is no such column.
        HarnessError: a value is of a kind that no column has, or no row at all has it: it is likely misspelt. Values
            that rows have, but no row together, give no rows; and without any rows, nothing is refused.
    """
    for name, wanted in renamed(filters).items():
        known = {column.name for column in columns if column.kind != "json"}
        if name not in known:
            raise UnknownName("filter", name, known)
        if not all(isinstance(value, Hashable) for value in _several(wanted)):
            raise HarnessError(f"{name}={wanted!r} is refused: give one value of the column, or a list of such values")
        _refuse_unknown_values(rows, name, _several(wanted))
    for name, wanted in renamed(filters).items():
        there = {value for row in rows for value in _names(row, name)}
        exact = {value for value in _several(wanted) if value in there}
        forms = {_comparable(value) for value in _several(wanted) if value not in there}  # of Unicode
        rows = [row for row in rows if _has(_names(row, name), exact, forms)]
    return rows


def renamed(filters: Mapping[str, object]) -> dict[str, object]:
    """The filters without those that are None, by the names of their columns."""
    names = {"arch": "network"}
    return {names.get(name, name): wanted for name, wanted in filters.items() if wanted is not None}


def _several(wanted: object) -> list[object]:
    return list(wanted) if isinstance(wanted, Collection) and not isinstance(wanted, str) else [wanted]


def _names(row: Mapping[str, Any], column: str) -> tuple[Any, ...]:
    """The value of a row, and the other names for it."""
    return (row[column], *row.get(NAMES, {}).get(column, ()))


def _has(names: Sequence[Any], exact: Collection[object], forms: Collection[object]) -> bool:
    """Whether a row is meant: by the name as it is stored, else by the name in another of Unicode's forms."""
    return any(name in exact or _comparable(name) in forms for name in names)


def _comparable(value: object) -> object:
    return normal(value) if isinstance(value, str) else value


def _refuse_unknown_values(rows: Rows, column: str, wanted: Sequence[object]) -> None:
    there = {_comparable(name): name for row in rows for name in _names(row, column)}
    for value in wanted if rows else ():
        if _comparable(value) not in there:
            known = [name for name in there.values() if name is not None]
            near = near_misses(str(value), known) if all(isinstance(name, str) for name in known) else []
            shown = [str(name) for name in (*near, *sorted(set(known) - set(near)))]
            raise HarnessError(f"no row has {column}={value!r}; the rows have {listed(shown, 8) or 'none'}")
