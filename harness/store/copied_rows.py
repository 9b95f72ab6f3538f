"""Copying every row, with its number, to an empty database of another kind.

A number of a removed row is never given again, also not by the copy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from sqlalchemy import Connection, Engine, Table, func, insert, inspect, select, text
from sqlalchemy.engine import URL

from harness.errors import StoreError
from harness.store import database, failures
from harness.store.connecting import engine_on, writing_on
from harness.store.schema import METADATA
from harness.store.schema_base import NUMBERED_ONCE
from harness.store.server import is_server

_ROWS_AT_ONCE = 500
Content = dict[str, tuple[int, int]]


def copy_rows(url: URL, target: URL) -> None:
    """Copy in one transaction of each database; if that fails, the target stays empty.

    Raises:
        StoreError: a database cannot be opened; the source has an older schema, is damaged, or holds a value of another
            type than its column's; the target has tables.
    """
    reading, writing = database.open_for_reading(url), engine_on(target, database.shown(target))
    try:
        _refuse_damage(url)
        _fill(reading, writing, database.shown(target))
    finally:
        reading.dispose()
        writing.dispose()


def _fill(reading: Engine, writing: Engine, name: str) -> None:
    from harness.store import migrations  # imported late: Alembic takes a third of a second

    with reading.connect() as source, writing_on(writing).begin() as target:
        if inspect(target).get_table_names():
            raise StoreError(
                f"{name} is refused: it has tables already; name an empty database, or use `harness db merge`"
            )
        migrations.upgrade(target)
        for table in METADATA.sorted_tables:
            every = source.execute(select(table), execution_options={"yield_per": _ROWS_AT_ONCE})
            for rows in every.mappings().partitions():
                target.execute(insert(table), [dict(row) for row in rows])
        _give_from(target, numbers_given(source))
        wanted, found = content_of(source), content_of(target)
        if differing := [table for table in wanted if found[table] != wanted[table]]:
            raise AssertionError(f"the copy differs in {differing}")  # a bug: the transaction is rolled back


def _refuse_damage(url: URL) -> None:
    """Check a file of any size: with some damage a query returns fewer rows."""
    file = database.sqlite_file(url)
    fault = failures.fault_in(file) if file is not None else None
    if fault is not None:
        raise failures.damaged(str(file), fault)


def content_of(connection: Connection) -> Content:
    """How many rows each table has, and a sum over their hashes, which does not depend on their order."""
    return {table.name: _content(connection, table) for table in METADATA.sorted_tables}


def _content(connection: Connection, table: Table) -> tuple[int, int]:
    count, total = 0, 0
    for row in connection.execute(select(table), execution_options={"yield_per": _ROWS_AT_ONCE}):
        count += 1
        total += int.from_bytes(hashlib.sha256(repr(tuple(row)).encode("utf-8", "surrogateescape")).digest(), "big")
    return count, total


def numbers_given(connection: Connection) -> dict[str, int]:
    """The last number that each table gave to a row, which may be gone."""
    if is_server(connection.engine.url):
        value = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM "
        return {
            table: int(connection.scalar(text(value + row_numbers)) or 0)
            for table, row_numbers in _counters(connection)
        }
    found = {table.name: int(connection.scalar(select(func.max(table.c.id))) or 0) for table in _numbered()}
    counted = connection.execute(text("SELECT name, seq FROM sqlite_sequence")).all()
    return found | {name: int(number) for name, number in counted if name in found}


def _give_from(connection: Connection, numbers: dict[str, int]) -> None:
    """Have later rows get larger numbers than these."""
    if is_server(connection.engine.url):
        for table, row_numbers in _counters(connection):
            if numbers[table]:
                connection.execute(select(func.setval(row_numbers, numbers[table])))
        return
    for counted in _numbered():
        if NUMBERED_ONCE.items() <= dict(counted.kwargs).items():
            known = {"name": counted.name, "number": numbers[counted.name]}
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), known)
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :number)"), known)


def _numbered() -> list[Table]:
    return [table for table in METADATA.sorted_tables if "id" in table.c]


def _counters(connection: Connection) -> Iterator[tuple[str, str]]:
    """Each table of a server with the name of what counts its rows."""
    for table in _numbered():
        name = connection.scalar(select(func.pg_get_serial_sequence(table.name, "id")))
        yield table.name, str(name)
