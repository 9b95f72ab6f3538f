"""The rows of a database that anybody may have written: each value has the type of its column, or the row is refused.

SQLite stores a text in a column of numbers if it is given one. So a value is nothing before its type was looked at.
"""

from __future__ import annotations

import functools
import json
import math
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    cast,
    select,
    type_coerce,
)
from sqlalchemy.types import NullType, TypeDecorator

DEEPEST = 100  # levels of a JSON document; harness writes fewer than ten
LISTS = ("class_names", "counts", "tags", "warnings", "wrappers")
"""The JSON columns that hold a list; every other one holds an object."""

Row = dict[str, Any]
Select = Callable[[Table], Iterable[Sequence[Any]]]
"""Gives the rows of a table as they are stored, in the order of the primary key."""

_ROWS_AT_ONCE = 1_000


class Mistyped(ValueError):
    """A value is not of its column's type; the text says what is wrong with it."""


def of_file(connection: sqlite3.Connection) -> Select:
    """The rows of an SQLite file; ``text_factory`` of the connection is ``lenient``."""

    def select_from(table: Table) -> Iterable[Sequence[Any]]:
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        return connection.execute(f'SELECT {names} FROM "{table.name}" ORDER BY {", ".join(_keys(table))}')

    return select_from


def of_server(connection: Connection) -> Select:
    """The rows of a database on a server, with JSON as its text. It keeps the types of all else itself."""

    def select_from(table: Table) -> Iterable[Sequence[Any]]:
        columns = [
            cast(column, Text) if _is_json(column) else type_coerce(column, NullType()) for column in table.columns
        ]
        wanted = select(*columns).order_by(*table.primary_key)
        return connection.execute(wanted, execution_options={"yield_per": _ROWS_AT_ONCE})

    return select_from


def typed_rows(select_from: Select, table: Table, refused: Callable[[str, str], None]) -> Iterator[Row]:
    """Every row of a table in the order of its primary key, with its JSON parsed and its dates read.

    Args:
        refused: is told which row is left out, by the values of its primary key, and why.
    """
    readers = [(column.name, _reader(column)) for column in table.columns]
    keys = _keys(table)
    for values in select_from(table):
        row: Row = {}
        try:
            for (name, read), value in zip(readers, values, strict=True):
                row[name] = read(value)
        except Mistyped as fault:
            known = dict(zip((name for name, _ in readers), values, strict=True))
            refused(" ".join(str(known[key]) for key in keys), f"{name} {fault}")
        else:
            yield row


def lenient(content: bytes) -> str:
    """Text as SQLite has it, also where it is no UTF-8; for ``text_factory``."""
    return content.decode("utf-8", "surrogateescape")


def _keys(table: Table) -> list[str]:
    return [column.name for column in table.primary_key]


def _is_json(column: Column[Any]) -> bool:
    return isinstance(_own(column), JSON)


def _own(column: Column[Any]) -> Any:
    return column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type


def _reader(column: Column[Any]) -> Callable[[Any], Any]:
    kinds: dict[type, Callable[[Any], Any]] = {
        JSON: functools.partial(_document, kind=list if column.name in LISTS else dict),
        DateTime: _date,
        Integer: _integer,
        Float: _number,
        String: _text,
        LargeBinary: _blob,
    }
    read = next(read for kind, read in kinds.items() if isinstance(_own(column), kind))
    return read if not column.nullable else lambda value: None if value is None else read(value)


def _integer(value: object) -> int:
    if type(value) is not int:
        raise Mistyped("is no integer")
    return value


def _number(value: object) -> float:
    if type(value) not in (int, float):
        raise Mistyped("is no number")
    if math.isnan(value):  # type: ignore[arg-type]
        raise Mistyped("is not a number")
    return value  # type: ignore[return-value]


def _text(value: object) -> str:
    if type(value) is not str:
        raise Mistyped("is no text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Mistyped("is no UTF-8") from None
    return value


def _blob(value: object) -> bytes:
    if type(value) is not bytes:
        raise Mistyped("is no blob")
    return value


def _date(value: object) -> datetime:
    try:
        date = value if isinstance(value, datetime) else datetime.fromisoformat(_text(value))
    except ValueError:  # Mistyped is one, too
        raise Mistyped("is no date") from None
    if date.tzinfo is not None:
        raise Mistyped("has a time zone; dates are in UTC, without one")
    return date


def _document(value: object, kind: type) -> Any:
    document = parsed(_text(value))
    if type(document) is not kind:
        raise Mistyped(f"is no JSON {'list' if kind is list else 'object'}")
    return document


@functools.lru_cache(maxsize=4096)
def parsed(text: str) -> Any:
    """A JSON document, which nobody may change: equal texts share it.

    Raises:
        Mistyped: it is no JSON, has a number of thousands of digits, or is nested too deeply for its readers.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Mistyped(f"is no JSON ({type(error).__name__})") from None
    if text.count("[") + text.count("{") > DEEPEST and _deeper(document, DEEPEST):
        raise Mistyped(f"is nested deeper than {DEEPEST} levels")
    return document


def _deeper(document: Any, most: int) -> bool:
    level = [document]
    for _ in range(most):
        parts = [part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list)]
        level = [each for part in parts for each in part]
    return any(isinstance(part, dict | list) for part in level)
