"""Some columns of many rows, read at once and without objects, as their types say: for lists of ten thousand runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Select, type_coerce
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType

from harness.store.typed import Typed, UnfitValue

_ROWS_AT_ONCE = 2_000  # so that few are in memory at a time
_AS_STORED = (int, str, bytes)  # SQLite gives these as they are
_AS_TEXT = (dict, list, datetime)  # SQLite keeps these as text


class TypedColumns:
    """Reads the rows of queries for columns. Equal JSON texts are decoded once, so nobody may change a document."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._dialect = session.get_bind().dialect
        self._read: dict[tuple[str, str], dict[str, Any]] = {}

    def rows(self, query: Select[Any]) -> Iterator[tuple[Any, ...]]:
        """The rows of a query for columns of tables.

        Raises:
            UnfitValue: a value is not of its column's type, or is missing where the column must hold one.
        """
        columns = [(c.type, bool(c.nullable)) for c in query.selected_columns if isinstance(c, Column)]
        typed = [(kind, nullable) for kind, nullable in columns if isinstance(kind, Typed)]
        assert len(typed) == len(query.selected_columns), "each column is one of a table"
        stored = query.with_only_columns(*(type_coerce(column, NullType()) for column in query.selected_columns))
        sqlite = self._dialect.name == "sqlite"
        found = self._session.execute((stored if sqlite else query).execution_options(yield_per=_ROWS_AT_ONCE))
        for part in found.partitions():
            values = list(zip(*part, strict=True))
            if sqlite:
                values = [self._typed(kind, of, null) for of, (kind, null) in zip(values, typed, strict=True)]
            else:
                _refuse_missing(values, typed)
            yield from zip(*values, strict=True)

    def _typed(self, kind: Typed, values: Sequence[Any], nullable: bool) -> Any:
        """One column's values, checked, and decoded where SQLite keeps a text for them."""
        there = set(map(type, values))
        if nullable:
            there.discard(type(None))
        if there <= {kind.kind} and kind.kind in _AS_STORED:
            return values
        read = kind.reader(self._dialect)
        if there <= {str} and kind.kind in _AS_TEXT:
            known = self._read.setdefault((kind.table, kind.name), {})
            known |= {text: read(text) for text in {*values} - known.keys() if text is not None}
            return [None if text is None else known[text] for text in values]
        if None in values and not nullable:
            raise UnfitValue(kind, None)
        return [read(value) for value in values]


def _refuse_missing(values: Sequence[Sequence[Any]], columns: Sequence[tuple[Typed, bool]]) -> None:
    for of, (kind, nullable) in zip(values, columns, strict=True):
        if not nullable and None in of:
            raise UnfitValue(kind, None)
