"""What a database that fails means to its user: what happened, in which file, and what to do next, in one line."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.errors import DamagedDatabase, StoreFault, visible
from harness.files import resolved
from harness.store.schema import METADATA

CHECKED_BYTES = 32 * 2**20  # a larger file is not read as a whole whenever it is opened: that would take 0.1 s and more
AGAIN = "then run the same command again: what was stored is kept"
_LOCKS = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_NOT_READ = "Could not decode to UTF-8"  # the driver's own error, which has no code
_OF_A_VALUE = re.compile(r"(?:NULL|NUMERIC|TEXT) value in |CHECK constraint failed in ")  # told by whoever reads it
_LACKS = (
    re.compile(r"no such (?:table|view): (?:main\.)?(?P<table>\w+)$"),
    re.compile(r"no such column: (?:main\.)?(?P<table>\w+)\.(?P<column>\w+)$"),
    re.compile(r"table (?P<table>\w+) has no column named (?P<column>\w+)$"),
)


def failure_of(error: BaseException, name: str) -> StoreFault | None:
    """The line that tells an error of SQLite's driver; None for an error that only a bug can cause.

    Args:
        name: the database, for the message.
    """
    if isinstance(error, UnicodeDecodeError):  # the driver found these bytes in the schema
        return damaged(name, "a text in it is not UTF-8")
    if not isinstance(error, sqlite3.Error):
        return None
    text, code = visible(" ".join(str(error).split())), getattr(error, "sqlite_errorcode", None)
    if code is None:
        return damaged(name, "a text in it is not UTF-8") if str(error).startswith(_NOT_READ) else None
    if is_lock(error):
        return StoreFault(
            f"the database {name} is locked by another process ({text}); wait until that has ended, or stop it, {AGAIN}"
        )
    tell = _BY_CODE.get(code) or _BY_CODE.get(code & 0xFF)
    return None if tell is None else tell(name, f"{text}, {error.sqlite_errorname}")


def is_lock(error: BaseException) -> bool:
    """Whether another process holds the database."""
    return isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _LOCKS


def damaged(name: str, what: str) -> DamagedDatabase:
    """The line about a database whose content is not what was written."""
    return DamagedDatabase(
        f"the database {name} is damaged: {what}; put back a copy of it, or save what is left by `sqlite3 FILE"
        " .recover`, and give that as --db"
    )


@contextlib.contextmanager
def failures_told(name: str) -> Iterator[None]:
    """Inside, an error of SQLite's driver becomes the line that tells it."""
    try:
        yield
    except sqlite3.Error as error:
        told = failure_of(error, name)
        if told is None:
            raise
        raise told from error


def fault_of(execute: Callable[[str], Iterable[Any]]) -> str | None:
    """The first fault that SQLite finds in the pages of a database, of which it reads all.

    A query need not meet a fault: with some, it returns fewer rows, and a figure of these would be wrong.

    Args:
        execute: performs a statement on a connection to the database.
    """
    found = (str(line) for (line,) in execute("PRAGMA integrity_check(100)"))
    lines = (line.removeprefix("*** in database main ***\n").partition("\n")[0] for line in found)
    return next((line for line in lines if line != "ok" and not _OF_A_VALUE.match(line)), None)


def fault_in(file: Path) -> str | None:
    """The first fault in a file, whatever its size; None also where that cannot be told now."""
    uri = f"file:{quote(os.fsencode(resolved(file)))}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            return fault_of(connection.execute)
    except sqlite3.Error as error:
        return None if is_lock(error) else visible(str(error))


def _full(name: str, text: str) -> StoreFault:
    return StoreFault(f"the database {name} cannot be written: its disk is full ({text}); free some space, {AGAIN}")


def _no_disk(name: str, text: str) -> StoreFault:
    return StoreFault(
        f"the database {name} cannot be read or written ({text}): its disk failed, or a file may not grow further;"
        f" see to the disk and its limits, {AGAIN}"
    )


def _read_only(name: str, text: str) -> StoreFault:
    return StoreFault(
        f"the database {name} is read-only here ({text}), or a writer was killed and left {name}-journal, which only"
        " who may write can take back: have its owner run `harness runs`, or give another --db"
    )


def _closed(name: str, text: str) -> StoreFault:
    return StoreFault(
        f"the database {name} cannot be opened ({text}); see that the file and its folder are yours to read, or give"
        " another --db"
    )


def _no_database(name: str, text: str) -> StoreFault:
    return StoreFault(f"{name} is not a database ({text}); give another --db, or move the file away")


def _lacking(name: str, text: str) -> StoreFault | None:
    """Told if the schema has what the database lacks; else the statement is a bug."""
    found = next(filter(None, (pattern.match(text.rpartition(", ")[0]) for pattern in _LACKS)), None)
    table = METADATA.tables.get(found["table"]) if found else None
    if table is None or found is None or found.groupdict().get("column", next(iter(table.c)).name) not in table.c:
        return None
    return damaged(name, f"it lacks a part of its schema ({text})")


_BY_CODE: dict[int, Callable[[str, str], StoreFault | None]] = {
    sqlite3.SQLITE_FULL: _full,
    sqlite3.SQLITE_IOERR: _no_disk,
    sqlite3.SQLITE_IOERR_DELETE: _read_only,  # of a journal: the file may be written, its folder may not
    sqlite3.SQLITE_NOLFS: _no_disk,
    sqlite3.SQLITE_CORRUPT: damaged,
    sqlite3.SQLITE_FORMAT: damaged,
    sqlite3.SQLITE_READONLY: _read_only,
    sqlite3.SQLITE_PERM: _closed,
    sqlite3.SQLITE_CANTOPEN: _closed,
    sqlite3.SQLITE_NOTADB: _no_database,
    sqlite3.SQLITE_ERROR: _lacking,
}
