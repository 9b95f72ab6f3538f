"""Copy a database with an older schema, then upgrade it to the newest schema."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from pathlib import Path

from sqlalchemy import Connection

from harness.errors import StoreError
from harness.store import database, migrations


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
    url = database.locate(location)
    file = database.sqlite_file(url)
    if url.get_backend_name() == "sqlite" and (file is None or not file.exists() or not file.stat().st_size):
        raise StoreError(f"there is no database {file}; `harness run` makes one of the newest schema")
    database.check_writable(url)
    engine, revision = database.open_for_upgrade(url)
    try:
        if revision == database.REVISION:
            return revision, None
        if backup and file is None:
            raise StoreError(f"{database.shown(url)} is not a file that can be copied: back it up, then --no-backup")
        copy = _copy(file, revision) if backup and file is not None else None
        with engine.execution_options(harness_begin="IMMEDIATE").begin() as connection:
            migrations.upgrade(connection)
            _check_references(connection)
        return revision, copy
    finally:
        engine.dispose()


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


def _check_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise AssertionError(f"the upgrade broke references: {broken[:3]}")  # a bug: the transaction is rolled back
