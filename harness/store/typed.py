"""What a column may hold, checked whenever it is read: SQLite keeps a text in a column of numbers, and JSON any shape.

So a database from elsewhere gives values of the types that the records say, or one line that names the place.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from sqlalchemy import Column, Connection, Dialect, String, Table
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator, TypeEngine

from harness.errors import StoreError, quoted

MAY_BE_INFINITE = {"may_be_infinite": True}
"""``info`` of a column of numbers in which infinity means something."""

Fits = Callable[[Any], bool]

_WORDS: dict[type, str] = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    str: "a text",
    bytes: "bytes",
    datetime: "a time",
    dict: "a JSON object",
    list: "a JSON list",
}


class UnfitValue(StoreError):
    """A row holds a value of another type than its column's."""

    def __init__(self, column: Typed, value: object, row: str = "") -> None:
        held = "nothing" if value is None else quoted(value if isinstance(value, str) else repr(value))
        super().__init__(
            f"the database is damaged, or another program wrote to it: the column {column.name} of the table"
            f" {column.table}{row and f', row {row},'} holds {held}, where {column.what} belongs; give another --db, or"
            " a copy from before"
        )
        self.column, self.value = column, value


class Typed(TypeDecorator[Any]):
    """A column's type that refuses other values when they are read. What is written, and the schema, stay the same."""

    impl: Any = String  # of the class; each instance has its own
    cache_ok = True  # by table and name

    def __init__(self, of: TypeEngine[Any], table: str, name: str, annotation: Any, *, infinite: bool = False) -> None:
        super().__init__()
        self.impl = of
        self.table, self.name = table, name
        self.kind: type = get_origin(annotation) or annotation
        self.what = "a number" if infinite else _WORDS[self.kind]
        self.fits = _fits(self.kind, get_args(annotation), infinite=infinite)

    def reader(self, dialect: Dialect) -> Callable[[Any], Any]:
        """What reads a value as that database has it: a time is a text in SQLite."""
        read: Callable[[Any], Any] = self.dialect_impl(dialect).result_processor(dialect, None)  # type: ignore[assignment]
        return read

    def result_processor(self, dialect: Any, coltype: object) -> Callable[[Any], Any]:
        """Reads a value as the column's own type does, and checks it before and after."""
        inner, fits, raw = self.impl_instance.result_processor(dialect, coltype), self.fits, self.kind is bytes

        def read(value: Any) -> Any:
            if value is None:  # of an aggregate over no row, too, or of an outer join
                return None
            if raw and not isinstance(value, (bytes, memoryview)):
                raise UnfitValue(self, value)  # bytes(5) would be five zeros
            try:
                found = value if inner is None else inner(value)
            except (ValueError, TypeError, RecursionError, OverflowError):  # of a time, or of JSON
                raise UnfitValue(self, value) from None
            if not fits(found):
                raise UnfitValue(self, value)
            return found

        return read


def _fits(kind: type, parts: tuple[Any, ...], *, infinite: bool) -> Fits:
    """Whether a value is of a type. Of JSON, a list's members are checked, and nothing deeper."""
    if kind is float and infinite:
        return lambda value: type(value) in (float, int) and value == value
    if kind is float:
        return lambda value: type(value) in (float, int) and math.isfinite(value)
    if kind is list:
        (member,) = parts
        inside: type = get_origin(member) or member
        return lambda value: type(value) is list and all(type(one) is inside for one in value)
    return lambda value: type(value) is kind


def type_columns(base: type[DeclarativeBase]) -> None:
    """Make every column of every mapped class check what is read, by the annotation of its attribute."""
    for mapper in base.registry.mappers:
        hints = get_type_hints(mapper.class_)
        for attribute in mapper.column_attrs:
            (column,) = attribute.columns
            assert isinstance(column, Column)
            (mapped,) = get_args(hints[attribute.key])
            optional = get_origin(mapped) in (Union, UnionType)
            annotation = get_args(mapped)[0] if optional else mapped
            infinite = bool(column.info.get("may_be_infinite"))
            column.type = Typed(column.type, column.table.name, column.name, annotation, infinite=infinite)


@contextlib.contextmanager
def naming_rows(session: Session, tables: Mapping[str, Table]) -> Iterator[Session]:
    """The session. If a value in it does not fit its column, the error names the row, too."""
    try:
        yield session
    except UnfitValue as error:
        column = tables[error.column.table].columns[error.column.name]
        found = next(unfit_values(session.connection(), column), error)
        raise found from None


def unfit_values(connection: Connection, column: Column[Any]) -> Iterator[UnfitValue]:
    """An error for each row whose value does not fit the column. It reads the whole table."""
    assert isinstance(column.type, Typed)
    quote = connection.dialect.identifier_preparer.quote
    keys = [key.name for key in column.table.primary_key]
    names = ", ".join(map(quote, (*keys, column.name)))
    read = column.type.reader(connection.dialect)
    for *numbers, value in connection.exec_driver_sql(f"SELECT {names} FROM {quote(column.table.name)}"):
        row = ", ".join(f"{key} {number}" for key, number in zip(keys, numbers, strict=True))
        try:
            read(value)
        except UnfitValue:
            yield UnfitValue(column.type, value, row)
        else:
            if value is None and not column.nullable:
                yield UnfitValue(column.type, value, row)


def refuse_missing_values(row: DeclarativeBase, names: Sequence[str]) -> None:
    """Raise UnfitValue if one of these columns must hold a value: a table made elsewhere may lack that constraint."""
    for name in names:
        column = row.__table__.columns[name]
        if not column.nullable:
            assert isinstance(column.type, Typed)
            raise UnfitValue(column.type, None)
