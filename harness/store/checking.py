"""Checking a whole database: its file, its schema, and every row; nothing is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, Float, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError

from harness.errors import DamagedDatabase, StoreError, listed, one_line, visible
from harness.store import database
from harness.store.checked_rows import OLDER_COPY, Problem, RowCheck
from harness.store.checked_server import server_problems
from harness.store.schema_base import VERSION_TABLE
from harness.store.server import is_server
from harness.store.typed_rows import Select, lenient, of_file, of_server

_SHOWN = 20  # problems of one kind that SQLite tells
_RECOVER = "go back to an older copy; else `sqlite3 FILE .recover` saves what can be read"


@dataclass(frozen=True)
class Checked:
    """What a check found: how much there is, and what is wrong.

    Attributes:
        name: of the database, for messages.
        more: how many problems there are besides those that are listed.
    """

    name: str
    runs: int = 0
    models: int = 0
    evaluations: int = 0
    verdicts: int = 0
    problems: tuple[Problem, ...] = ()
    more: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check_database(location: str | None) -> Checked:
    """Check a database. Other processes may read it meanwhile, and wait to write to a file.

    Raises:
        StoreError: there is no such database, it is none of harness, or has another schema.
    """
    url = database.locate(location)
    require_there(url)
    try:
        engine = database.open_for_reading(url)
    except DamagedDatabase as error:
        return Checked(database.shown(url), problems=(Problem("the file", str(error), _RECOVER),))
    try:
        return _checked(engine, database.shown(url))
    finally:
        engine.dispose()


def require_there(url: URL) -> None:
    """Raise StoreError unless a database is there: a file that is not empty, or one on a server that has tables."""
    file = database.sqlite_file(url)
    if file is None and not is_server(url):
        raise StoreError(
            f"{database.shown(url)} is refused: it is in memory; give the path of a file, or a server's URL"
        )
    if file is not None and not (file.is_file() and file.stat().st_size):
        raise StoreError(f"there is no database {file}; give the path of one that is there")
    if file is None and not database.is_there(url):
        raise StoreError(f"{database.shown(url)} has no tables; `harness run` makes them, or give another database")


def _checked(engine: Engine, name: str) -> Checked:
    with engine.connect() as connection:
        connection.begin()  # one transaction, so that all is of one moment; it ends without a commit
        if is_server(engine.url):
            return _checked_on_server(connection, name)
        file = connection.connection.driver_connection
        assert isinstance(file, sqlite3.Connection)
        file.text_factory = lenient
        try:
            if problems := tuple(file_problems(file)):  # rows of a damaged file may be anybody's
                return Checked(name, problems=problems)
            file.text_factory = str  # as SQLAlchemy expects it
            if problems := tuple(_schema_problems(connection)):
                return Checked(name, problems=problems)
            file.text_factory = lenient
            return _checked_rows(of_file(file), name)
        except (sqlite3.DatabaseError, DatabaseError) as error:
            cause = error.orig if isinstance(error, DatabaseError) else error
            if getattr(cause, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StoreError(f"{name} is locked: another process writes to it; wait for it, or stop it") from None
            return Checked(name, problems=(unreadable(cause),))


def _checked_on_server(connection: Connection, name: str) -> Checked:
    if problems := tuple(server_problems(connection)):
        return Checked(name, problems=problems)
    try:
        return _checked_rows(of_server(connection), name)
    except DatabaseError as error:  # a date beyond those of Python, above all
        return Checked(name, problems=(Problem("the database", f"it cannot be read: {one_line(error.orig or error)}"),))


def _checked_rows(select_from: Select, name: str) -> Checked:
    rows = RowCheck(select_from)
    rows.perform()
    counts = {count: getattr(rows, count) for count in ("runs", "models", "evaluations", "verdicts", "more")}
    return Checked(name, problems=tuple(rows.problems), **counts)


def file_problems(file: sqlite3.Connection) -> Iterator[Problem]:
    """What SQLite itself finds: damaged pages, constraints that do not hold, and references to nothing."""
    for (line,) in file.execute(f"PRAGMA integrity_check({_SHOWN})").fetchall():
        if line != "ok":
            yield Problem("the file", visible(" ".join(line.split())), _RECOVER)
    for table, row, parent, _ in file.execute("PRAGMA foreign_key_check").fetchmany(_SHOWN):
        yield Problem(f"{visible(table)}, row {row}", f"it refers to a row of {visible(parent)} that is not there")


def unreadable(error: BaseException | None) -> Problem:
    """What an error of SQLite says of a file that was being read."""
    return Problem("the file", f"it cannot be read: {visible(str(error))}", _RECOVER)


def _schema_problems(connection: Any) -> Iterator[Problem]:
    """How tables, columns, constraints, and views differ from those that the migrations make."""
    wanted, views = _of_this_version()
    found = structure(connection)
    for table, parts in wanted.items():
        if table not in found:
            yield Problem(f"table {table}", "it is missing")
        elif found[table] != parts:
            differing = [part for part, value in parts.items() if found[table][part] != value]
            yield Problem(f"table {table}", f"its {listed(differing)} are not those of schema {database.REVISION}")
    there = _statements(connection, "view")
    for view in views:
        if views[view] != there.get(view):
            yield Problem(f"view {view}", f"it is not that of schema {database.REVISION}")
    for trigger in _statements(connection, "trigger"):
        remedy = f"if you trust the database: DROP TRIGGER {visible(trigger)}; else {OLDER_COPY}"
        yield Problem(f"trigger {visible(trigger)}", "it changes rows unseen; harness makes no triggers", remedy)


@cache
def _of_this_version() -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The tables and the views that the migrations make, which take a quarter of a second; a merge checks two files."""
    with database.migrated_in_memory().connect() as reference:
        return structure(reference), _statements(reference, "view")


def structure(bind: Any) -> dict[str, dict[str, Any]]:
    """What a database enforces of its tables, by table and part; the version table is left out.

    A reference's name and the word for a floating-point column say nothing of what is enforced, and databases that were
    upgraded before a release have others.
    """
    found = inspect(bind)

    def column(told: Any) -> dict[str, Any]:
        return {**told, "type": "FLOAT" if isinstance(told["type"], Float) else str(told["type"])}

    def reference(told: Any) -> dict[str, Any]:
        return {key: value for key, value in told.items() if key != "name"}

    def ordered(parts: Iterable[Any]) -> list[Any]:
        return sorted(parts, key=repr)

    parts: dict[str, Callable[[str], Any]] = {
        "columns": lambda table: [column(told) for told in found.get_columns(table)],
        "primary key": found.get_pk_constraint,
        "unique constraints": lambda table: ordered(found.get_unique_constraints(table)),
        "foreign keys": lambda table: ordered(map(reference, found.get_foreign_keys(table))),
        "checks": lambda table: ordered(found.get_check_constraints(table)),
        "indexes": lambda table: ordered(found.get_indexes(table)),
    }
    tables = [table for table in found.get_table_names() if table != VERSION_TABLE]
    return {table: {name: part(table) for name, part in parts.items()} for table in tables}


def _statements(connection: Any, kind: str) -> dict[str, str]:
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = :kind"), {"kind": kind})
    return {name: " ".join((statement or "").split()) for name, statement in rows}
