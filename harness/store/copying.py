"""Copying a database of harness, of any schema, to a new file."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from pathlib import Path

from harness.errors import StoreError
from harness.store import database
from harness.store.backup import back_up
from harness.store.checking import file_problems, require_file, unreadable


def copy_database(location: str | None, destination: Path) -> str:
    """Copy an SQLite file to a new one, whole and of one moment, also while other processes write to it.

    Args:
        destination: the new file, in a folder that exists.
    Returns:
        The schema of both.
    Raises:
        StoreError: there is no such database of harness; the new file is there already, or cannot be written; the
            database is damaged, or another process holds it locked. No copy is left then.
    """
    url = database.locate(location)
    file = require_file(url)
    revision = database.schema_of(url)
    taken = StoreError(f"{destination} is refused: it is there already; name a new file")
    if destination.exists() or destination.is_symlink():
        raise taken
    if not destination.parent.is_dir():
        raise StoreError(f"{destination} is refused: there is no folder {destination.parent}; make it first")
    try:
        back_up(file, destination, functools.partial(_refuse_damage, file))
    except FileExistsError:
        raise taken from None
    except OSError as error:
        raise StoreError(f"{destination} cannot be written: {error.strerror}; choose another place") from None
    except sqlite3.Error as error:
        raise StoreError(f"{file} cannot be copied to {destination}: {error}; choose another place") from None
    return revision


def _refuse_damage(file: Path, copy: Path) -> None:
    """Raise StoreError if SQLite finds damage: a copy of a damaged file might replace the last good one."""
    try:
        with contextlib.closing(sqlite3.connect(copy)) as copied:
            problem = next(file_problems(copied), None)
    except sqlite3.DatabaseError as error:
        problem = unreadable(error)
    if problem is not None:
        raise StoreError(f"{file} is not copied, since it is damaged: {problem.what}; {problem.remedy}")
