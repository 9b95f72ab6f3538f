"""Copying a database of harness to a new file, or to an empty database on a server."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from pathlib import Path

from harness.errors import StoreError
from harness.store import database
from harness.store.backup import back_up, make_new
from harness.store.checking import file_problems, require_there, unreadable
from harness.store.copied_rows import copy_rows


def copy_database(location: str | None, destination: str | Path) -> str:
    """Copy a database whole and of one moment, also while other processes write to it.

    From file to file it is copied page by page, whatever its schema. From or to a server it is copied row by row, and
    both are compared before the copy is kept.

    Args:
        destination: a new file in a folder that exists, or the URL of an empty database on a server.
    Returns:
        The schema of both.
    Raises:
        StoreError: there is no such database of harness; the destination is there already, or a journal of that name
            is; it cannot be written; the database is damaged, or another process holds it locked. No copy is left then.
    """
    url, target = database.locate(location), database.locate(str(destination))
    file, copy = database.sqlite_file(url), database.sqlite_file(target)
    require_there(url)
    revision = database.schema_of(url)
    if copy is None:
        copy_rows(url, target)
        return revision
    taken = StoreError(f"{copy} is refused: it is there already; name a new file")
    if copy.exists() or copy.is_symlink():
        raise taken
    if not copy.parent.is_dir():
        raise StoreError(f"{copy} is refused: there is no folder {copy.parent}; make it first")
    try:
        if file is None:
            make_new(copy, lambda part: copy_rows(url, database.locate(str(part))))
        else:
            back_up(file, copy, functools.partial(_refuse_damage, file))
    except FileExistsError:
        raise taken from None
    except OSError as error:
        raise StoreError(f"{copy} cannot be written: {error.strerror}; choose another place") from None
    except sqlite3.Error as error:
        raise StoreError(f"{file} cannot be copied to {copy}: {error}; choose another place") from None
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
