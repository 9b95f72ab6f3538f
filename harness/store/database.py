"""Opening a database: one engine factory, the check of its schema, its creation, and its upgrade."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import weakref
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import StaticPool

from harness.errors import StoreError
from harness.files import require_writable
from harness.store.schema import METADATA
from harness.store.schema_base import VERSION_TABLE

VARIABLE = "HARNESS_DB"
DEFAULT = "leaderboard.db"
REVISION = "0007"
OLDER_REVISIONS: tuple[str, ...] = ("0001", "0002", "0003", "0004", "0005", "0006")
BUSY_TIMEOUT_MS = 60_000


def locate(location: str | None) -> URL:
    """The database that ``--db``, else ``HARNESS_DB``, else the working directory names: a path or a SQLAlchemy URL."""
    name = location or os.environ.get(VARIABLE) or DEFAULT
    if "://" not in name:
        try:
            return URL.create("sqlite", database=str(Path(name).expanduser()))
        except RuntimeError:
            user = name.partition("/")[0].removeprefix("~")
            raise StoreError(f"--db {name} is refused: there is no user {user}; write the path out") from None
    try:
        return make_url(name)
    except (ArgumentError, ValueError):  # ValueError: of a port that is no number; the URL may have a password
        raise StoreError(
            f"--db (or {VARIABLE}) is refused: it is no URL such as sqlite:///file.db, or its port is no number"
        ) from None


def sqlite_file(url: URL) -> Path | None:
    """The file of an SQLite URL; None for another database, or one in memory."""
    in_memory = url.database in (None, "", ":memory:")
    return None if url.get_backend_name() != "sqlite" or in_memory else Path(str(url.database))


def open_for_reading(url: URL) -> Engine:
    """An engine that only reads the database; for a missing or empty file, an empty database in memory.

    Raises:
        StoreError: the file is no database, belongs to another program, or has another schema.
    """
    file = sqlite_file(url)
    if file is None and url.get_backend_name() != "sqlite":
        engine = _engine(url)
    elif file is None or not file.exists() or file.stat().st_size == 0:
        return in_memory()
    else:
        # A killed writer leaves a journal. SQLite must roll it back before anyone reads, and for that it must write.
        mode = "rw" if Path(f"{file.resolve()}-journal").exists() else "ro"
        uri = URL.create("sqlite", database=f"file:{quote(str(file.resolve()))}", query={"mode": mode, "uri": "true"})
        engine = _engine(uri)
    _check(engine, url)
    return engine


def in_memory() -> Engine:
    """An engine on an empty database in memory, of the newest schema."""
    engine = _engine(URL.create("sqlite"), poolclass=StaticPool)
    METADATA.create_all(engine)
    return engine


def open_for_writing(url: URL) -> Engine:
    """An engine on a database of the newest schema; a missing database is created.

    Raises:
        StoreError: as for reading, or the place cannot be written.
    """
    file = sqlite_file(url)
    check_writable(url)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    engine = _engine(url)
    if _tables(engine, url):
        _check(engine, url)
    else:
        _migrate(engine)
    return engine


def upgrade_database(location: str | None, *, backup: bool = True) -> tuple[str, Path | None]:
    """Upgrade in one transaction: a failure, or a stop, leaves the database as it was.

    Args:
        backup: first copy the file beside itself; possible for SQLite files alone.
    Returns:
        The schema that the database had, and the copy. The copy is None where the schema was the newest already, or
        ``backup`` is False.
    Raises:
        StoreError: there is no such database, it belongs to another program, or has a newer schema; the copy's name is
            taken.
    """
    url = locate(location)
    file = sqlite_file(url)
    if url.get_backend_name() == "sqlite" and (file is None or not file.exists() or not file.stat().st_size):
        raise StoreError(f"there is no database {file}; `harness run` makes one of the newest schema")
    check_writable(url)
    # SQLite alters a table by dropping and rebuilding it: enforced keys would delete all rows that refer to it.
    engine = _engine(url, foreign_keys=False)
    try:
        revision = _revision(engine, url)
        if revision == REVISION:
            return revision, None
        if backup and file is None:
            raise StoreError(f"{shown(url)} is not a file that can be copied: back it up, then --no-backup")
        copy = _copy(file, revision) if backup and file is not None else None
        _migrate(engine)
        return revision, copy
    finally:
        engine.dispose()


def _migrate(engine: Engine) -> None:
    """Bring a database to the newest schema, in one transaction."""
    from harness.store import migrations  # imported late: Alembic takes a third of a second

    with engine.execution_options(harness_begin="IMMEDIATE").begin() as connection:
        migrations.upgrade(connection)
        sqlite = engine.dialect.name == "sqlite"
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall() if sqlite else []
        if broken:
            raise AssertionError(f"the upgrade broke references: {broken[:3]}")  # a bug: the transaction is rolled back


def _copy(file: Path, revision: str) -> Path:
    """Copy the file beside itself with SQLite's backup: complete even while another process writes, or not at all."""
    copy = file.with_name(f"{file.stem}.schema-{revision}{file.suffix}")
    if copy.exists():
        raise StoreError(f"the copy's name {copy} is taken; move that file away")
    part = file.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with contextlib.closing(sqlite3.connect(file)) as source, contextlib.closing(sqlite3.connect(part)) as target:
            source.backup(target)
        part.rename(copy)
    except BaseException:  # an interrupt, too, must not leave an incomplete copy
        part.unlink(missing_ok=True)
        raise
    return copy


def _engine(url: URL, *, foreign_keys: bool = True, **options: Any) -> Engine:
    try:
        engine = create_engine(url, **options)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreError(f"no driver for the database {url.drivername!r}: {error}") from None
    weakref.finalize(engine, engine.pool.dispose)  # also where nobody closes it: a database that was refused
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
        if not foreign_keys:
            event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = OFF"))
    return engine


def _on_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes late and does not cover DDL; ours does
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")


def _on_begin(connection: Connection) -> None:
    # A deferred BEGIN that a write upgrades fails at once when another process wrote in between, whatever the timeout.
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('harness_begin', 'DEFERRED')}")


def check_writable(url: URL) -> None:
    """Raise StoreError where a database cannot be created or written; create nothing."""
    file = sqlite_file(url)
    if file is None:
        return
    try:
        require_writable(file.parent)
        if file.exists() and not os.access(file, os.W_OK):
            raise PermissionError("it is read-only")
    except OSError as error:
        raise StoreError(
            f"the database {file} cannot be written: {error}; give another --db, or set {VARIABLE}"
        ) from None


def _tables(engine: Engine, url: URL) -> list[str]:
    try:
        return inspect(engine).get_table_names()
    except OperationalError as error:
        raise StoreError(f"the database {shown(url)} cannot be opened: {error.orig}; give another --db") from None
    except DatabaseError:
        raise StoreError(f"{shown(url)} is not a database; give another --db, or move the file away") from None


def _revision(engine: Engine, url: URL) -> str:
    """The schema of a database of harness; StoreError for any other database, and for a newer schema."""
    if VERSION_TABLE not in _tables(engine, url):
        raise StoreError(f"{shown(url)} is a database of another program; give another --db")
    with engine.connect() as connection:
        revision = str(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar())
    if revision not in (*OLDER_REVISIONS, REVISION):
        raise StoreError(f"{shown(url)} has the schema {revision}, newer than {REVISION}: update harness")
    return revision


def _check(engine: Engine, url: URL) -> None:
    revision = _revision(engine, url)
    if revision != REVISION:
        raise StoreError(
            f"{shown(url)} has the older schema {revision}; this version reads {REVISION}:"
            " `harness upgrade` upgrades it and keeps a copy"
        )


def shown(url: URL) -> str:
    """The database's name for messages: its path, or its URL without the password."""
    file = sqlite_file(url)
    return str(file) if file is not None else url.render_as_string(hide_password=True)
