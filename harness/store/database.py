"""Opening a database: the check of its schema, its creation, and its upgrade."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import StaticPool

from harness.errors import SettingError, StoreError
from harness.files import DIRECTORY, MISSING, expanded, require_writable, resolved, why_no_file
from harness.locations import is_broken_address, shown_location
from harness.store import failures
from harness.store.backup import back_up, is_back_up
from harness.store.connecting import engine_on, writing_on
from harness.store.schema import METADATA
from harness.store.schema_base import VERSION_TABLE
from harness.store.server import is_server, with_driver

VARIABLE = "HARNESS_DB"
DEFAULT = "leaderboard.db"
REVISION = "0008"
OLDER_REVISIONS: tuple[str, ...] = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")


def locate(location: str | None) -> URL:
    """The database that ``--db``, else ``HARNESS_DB``, else the working directory names: a path or a SQLAlchemy URL."""
    name = location or os.environ.get(VARIABLE) or DEFAULT
    if is_broken_address(name):
        raise StoreError(
            f"--db (or {VARIABLE}) is refused: it seems to be the URL of a database, and has no ://; write a URL such"
            " as sqlite:///file.db, or ./ before the path of a file"
        )
    if "://" not in name:
        try:
            return _of_a_file(URL.create("sqlite", database=str(expanded(name))))
        except SettingError as error:
            raise StoreError(f"--db {error}") from None
    try:
        return _of_a_file(with_driver(make_url(name)))
    except (ArgumentError, ValueError):  # ValueError: of a port that is no number; the URL may have a password
        raise StoreError(
            f"--db (or {VARIABLE}) is refused: it is no URL such as sqlite:///file.db, or its port is no number"
        ) from None


def _of_a_file(url: URL) -> URL:
    """The URL; StoreError where a pipe or a device stands in the place of the file, or its name is none."""
    file = sqlite_file(url)
    reason = why_no_file(file) if file is not None else None
    if reason not in (None, MISSING, DIRECTORY):
        raise StoreError(f"the database {file} {reason}; give another --db, or set {VARIABLE}")
    return url


def sqlite_file(url: URL) -> Path | None:
    """The file of an SQLite URL; None for another database, or one in memory."""
    in_memory = url.database in (None, "", ":memory:")
    return None if url.get_backend_name() != "sqlite" or in_memory else Path(str(url.database))


def is_there(url: URL) -> bool:
    """Whether a database has tables, or a file is not empty.

    Raises:
        StoreError: a server cannot be reached.
    """
    file = sqlite_file(url)
    if file is not None or not is_server(url):
        return file is not None and file.exists() and file.stat().st_size > 0
    engine = engine_on(url, shown(url), read_only=True)
    try:
        return bool(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def open_for_reading(url: URL) -> Engine:
    """An engine that only reads the database; for a missing or empty file, an empty database in memory.

    Raises:
        StoreError: the file is no database, belongs to another program, or has another schema.
    """
    file = sqlite_file(url)
    if file is None and url.get_backend_name() != "sqlite":
        engine = engine_on(url, shown(url), read_only=True)
        if not inspect(engine).get_table_names():
            return in_memory()
    elif file is None or not file.exists() or file.stat().st_size == 0:
        return in_memory()
    else:
        # A writer that is killed leaves a journal, at any moment. SQLite must roll it back before anyone reads, and for
        # that it must write: so the file is opened for writing, if it may be, and statements that write are refused.
        query = {"mode": "rw", "uri": "true"}
        uri = URL.create("sqlite", database=f"file:{quote(os.fsencode(resolved(file)))}", query=query)
        engine = engine_on(uri, shown(url), file=file, read_only=True)
        _refuse_damage(engine, file)
        if not inspect(engine).get_table_names():  # its first writer was killed before it made the tables
            return in_memory()
    _check(engine, url)
    return engine


def in_memory() -> Engine:
    """An engine on an empty database in memory, of the newest schema."""
    engine = engine_on(URL.create("sqlite"), "in memory", poolclass=StaticPool)
    METADATA.create_all(engine)
    return engine


def migrated_in_memory() -> Engine:
    """An engine on an empty database in memory, made by the migrations: it has the views, too."""
    engine = engine_on(URL.create("sqlite"), ":memory:", poolclass=StaticPool)
    _migrate(engine)
    return engine


def open_for_writing(url: URL) -> Engine:
    """An engine on a database of the newest schema; a missing database is created.

    Raises:
        StoreError: as for reading, or the place cannot be written.
    """
    file = sqlite_file(url)
    check_writable(url)
    engine = engine_on(url, shown(url), file=file)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    _refuse_damage(engine, file)
    if inspect(engine).get_table_names():
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
    engine = engine_on(url, shown(url), file=file, foreign_keys=False)
    try:
        _refuse_damage(engine, file)
        revision = _revision(engine, url)
        if revision == REVISION:
            return revision, None
        if backup and file is None:
            raise StoreError(f"{shown(url)} is not a file that can be copied: back it up, then --no-backup")
        with failures.failures_told(shown(url)):
            copy = _copy(file, revision) if backup and file is not None else None
        _migrate(engine)
        return revision, copy
    finally:
        engine.dispose()


def schema_of(url: URL) -> str:
    """The schema of a database that is there, which may be an older one.

    Raises:
        StoreError: it is no database, belongs to another program, or has a newer schema.
    """
    engine = engine_on(url, shown(url), file=sqlite_file(url), read_only=True)
    try:
        return _revision(engine, url)
    finally:
        engine.dispose()


def _migrate(engine: Engine) -> None:
    """Bring a database to the newest schema, in one transaction."""
    from harness.store import migrations  # imported late: Alembic takes a third of a second

    with writing_on(engine).begin() as connection:
        migrations.upgrade(connection)
        sqlite = engine.dialect.name == "sqlite"
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall() if sqlite else []
        if broken:
            raise AssertionError(f"the upgrade broke references: {broken[:3]}")  # a bug: the transaction is rolled back


def _copy(file: Path, revision: str) -> Path:
    """Copy the file beside itself; an upgrade that was stopped after that may have done it."""
    copy = file.with_name(f"{file.stem}.schema-{revision}{file.suffix}")
    if copy.exists() and is_back_up(copy, file):
        return copy
    if copy.exists():
        raise StoreError(f"the copy's name {copy} is taken; move that file away")
    back_up(file, copy)
    return copy


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


def _refuse_damage(engine: Engine, file: Path | None) -> None:
    """Check a whole file, unless it is large."""
    if file is not None and file.exists() and 0 < file.stat().st_size <= failures.CHECKED_BYTES:
        with engine.connect() as connection:
            fault = failures.fault_of(connection.exec_driver_sql)
        if fault is not None:
            raise failures.damaged(str(file), fault)


def _revision(engine: Engine, url: URL) -> str:
    """The schema of a database of harness; StoreError for any other database, and for a newer schema."""
    tables = inspect(engine).get_table_names()
    if not tables and is_server(url):
        raise StoreError(f"{shown(url)} has no tables; `harness run` makes them")
    if VERSION_TABLE not in tables:
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
            " `harness db upgrade` upgrades it and keeps a copy"
        )


def shown(url: URL) -> str:
    """The database's name for messages: its path, or its URL without what may be secret."""
    file = sqlite_file(url)
    return shown_location(str(file) if file is not None else url.render_as_string(hide_password=False))
