"""The one factory of engines: what each connection is set to, how long it waits for a lock, and what its errors say."""

from __future__ import annotations

import logging
import sqlite3
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from harness.errors import StoreError, one_line
from harness.store import server
from harness.store.failures import damaged, failure_of, fault_in, is_lock
from harness.store.server_failures import failure_of_server

BUSY_TIMEOUT_MS = 60_000
TOLD_AFTER_MS = 2_000

T = TypeVar("T")
_log = logging.getLogger("harness.store")


def engine_on(
    url: URL,
    name: str,
    *,
    file: Path | None = None,
    read_only: bool = False,
    foreign_keys: bool = True,
    **options: Any,
) -> Engine:
    """An engine whose failures are StoreFault, and whose connections wait for a lock.

    Args:
        name: the database, for messages.
        file: the file of an SQLite database.
        read_only: refuse to change a row. A journal that a killed writer left is still rolled back.
        options: of ``create_engine``.
    Raises:
        StoreError: no driver is installed for such a URL.
    """
    sqlite = url.drivername in ("sqlite", "sqlite+pysqlite")
    options |= {"connect_args": {"factory": _patient(name)}} if sqlite else _options_of_server(url, read_only)
    try:
        engine = create_engine(url, **options)
    except ImportError as error:
        raise StoreError(
            f"the database {name} needs the driver psycopg, which cannot be imported ({one_line(error)}): pip install"
            " 'robustness-harness[postgres]'"
        ) from None
    except (ArgumentError, TypeError, ValueError):  # of an option in the URL, whose value may be secret
        raise StoreError(f"the database {name} has an option that its driver refuses; correct the URL") from None
    weakref.finalize(engine, engine.pool.dispose)  # also where nobody closes it: a database that was refused
    if sqlite:
        pragmas = {"foreign_keys": int(foreign_keys), "query_only": int(read_only), "cell_size_check": 1}
        event.listen(engine, "connect", lambda connection, _: _set_up(connection, pragmas))
        event.listen(engine, "begin", _on_begin)
        event.listen(engine, "handle_error", lambda context: _tell(context, name, file, read_only=read_only))
    else:
        told: list[str] = []
        event.listen(engine, "begin", lambda connection: _on_begin_of_server(connection, name, told))
        event.listen(engine, "handle_error", lambda context: _tell_server(context, name, url))
    return engine


def writing_on(engine: Engine) -> Engine:
    """The engine, for transactions that write: only one of them is at work at a time."""
    options = server.WRITING if server.is_server(engine.url) else {}
    return engine.execution_options(harness_begin="IMMEDIATE", **options)


def _options_of_server(url: URL, read_only: bool) -> dict[str, Any]:
    if not server.is_server(url):
        raise StoreError(
            f"the database {url.drivername!r} is refused: harness keeps results in SQLite or PostgreSQL; give a"
            f" path, or a URL such as {server.DRIVER}://host/name"
        )
    return server.engine_options(url, read_only=read_only)


def _on_begin_of_server(connection: Connection, name: str, told: list[str]) -> None:
    if connection.get_execution_options().get("harness_begin") == "IMMEDIATE":
        server.take_turn(connection, name, told)


def _set_up(connection: sqlite3.Connection, pragmas: dict[str, int]) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes late and does not cover DDL; ours does
    for pragma, value in pragmas.items():
        connection.execute(f"PRAGMA {pragma} = {value}")
    connection.execute(f"PRAGMA busy_timeout = {min(TOLD_AFTER_MS, BUSY_TIMEOUT_MS)}")


def _on_begin(connection: Connection) -> None:
    # A deferred BEGIN that a write upgrades fails at once when another process wrote in between, whatever the timeout.
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('harness_begin', 'DEFERRED')}")


def _patient(name: str) -> type[sqlite3.Connection]:
    """The class of an engine's connections: what meets a lock is tried again, after a note, until the time is over.

    A statement that meets a lock did nothing, so it can be tried again. That holds for BEGIN, for COMMIT, and for the
    first statement that reads; a statement that writes follows a BEGIN IMMEDIATE, and meets no lock any more.
    """
    told: list[str] = []

    def patiently(connection: sqlite3.Connection, action: Callable[[], T]) -> T:
        try:
            return action()
        except sqlite3.Error as error:
            if not is_lock(error) or BUSY_TIMEOUT_MS <= TOLD_AFTER_MS:
                raise
        if not told:
            told.append(name)
            seconds = round((BUSY_TIMEOUT_MS - TOLD_AFTER_MS) / 1000)
            _log.warning("the database %s is locked by another process; waiting up to %d s for it", name, seconds)
        _wait_at_most(connection, BUSY_TIMEOUT_MS - TOLD_AFTER_MS)
        try:
            return action()
        finally:
            _wait_at_most(connection, TOLD_AFTER_MS)

    class PatientCursor(sqlite3.Cursor):
        def execute(self, statement: str, parameters: Any = (), /) -> Self:
            return patiently(self.connection, lambda: super(PatientCursor, self).execute(statement, parameters))

    class PatientConnection(sqlite3.Connection):
        def cursor(self, factory: Any = PatientCursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            patiently(self, super().commit)

    return PatientConnection


def _wait_at_most(connection: sqlite3.Connection, milliseconds: int) -> None:
    sqlite3.Connection.cursor(connection, sqlite3.Cursor).execute(f"PRAGMA busy_timeout = {milliseconds}")


def _tell(context: ExceptionContext, name: str, file: Path | None, *, read_only: bool) -> None:
    error = context.original_exception
    if read_only and getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY:
        return  # a bug: a statement would write through an engine that only reads
    told = failure_of(error, name)
    if told is None and isinstance(error, sqlite3.IntegrityError) and file is not None:
        fault = fault_in(file)  # without one our statement broke a rule: a bug
        told = damaged(name, f"its rows contradict each other ({error}; {fault})") if fault is not None else None
    if told is not None:
        raise told from error


def _tell_server(context: ExceptionContext, name: str, url: URL) -> None:
    error = context.sqlalchemy_exception or context.original_exception
    address = url.render_as_string(hide_password=False)
    told = failure_of_server(error, name, address, server.seconds_to_connect(url))
    if told is not None:
        raise told from context.original_exception
