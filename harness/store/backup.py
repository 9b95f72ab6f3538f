"""A copy of an SQLite file: whole and of one moment, also while other processes write to it."""

from __future__ import annotations

import contextlib
import filecmp
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from harness.errors import StoreError
from harness.files import sync_directory
from harness.unfinished import unfinished_file

LONGEST_WAIT_S = 60.0  # for a process that holds a lock
_BESIDE = ("-journal", "-wal", "-shm")  # how the names of the files end that SQLite keeps beside a database


def back_up(file: Path, copy: Path, examine: Callable[[Path], None] = lambda _: None) -> None:
    """Copy by SQLite's own means. The copy appears when it is whole and on the disk; else nothing is left.

    Args:
        examine: is given the whole copy before it has its name, and may raise: then nothing is left, either.
    Raises:
        FileExistsError: the copy's name is taken.
        OSError: the copy cannot be written.
        sqlite3.Error: the file cannot be read, or the disk is full.
        StoreError: another process holds the file locked; or as ``make_new``.
    """

    def fill(part: Path) -> None:
        _fill(part, file)
        examine(part)

    make_new(copy, fill)


def make_new(copy: Path, fill: Callable[[Path], None]) -> None:
    """Make a database file that appears when it is whole and on the disk; else nothing is left.

    Args:
        fill: is given an empty file, and may raise.
    Raises:
        FileExistsError: the name is taken.
        OSError: the file cannot be written.
        StoreError: a journal is there of a database that had the name: SQLite would write its pages into the new one.
    """
    _refuse_journal(copy)
    with unfinished_file(copy) as (part, whole):
        fill(part)
        os.fsync(whole.fileno())
        _refuse_journal(copy)  # it may have come meanwhile
        _rename_to_new(part, copy)
        sync_directory(copy.parent)


def is_back_up(copy: Path, file: Path) -> bool:
    """Whether a file is the copy that ``back_up`` would make now, to the last byte.

    Raises:
        OSError, sqlite3.Error, StoreError: as ``back_up``.
    """
    with unfinished_file(copy) as (part, _):
        _fill(part, file)
        return filecmp.cmp(part, copy, shallow=False)


def _fill(part: Path, file: Path) -> None:
    """Copy a database into an empty file."""
    end = time.monotonic() + LONGEST_WAIT_S

    def waiting(status: int, _remaining: int, _pages: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > end:
            raise StoreError(f"{file} cannot be copied: another process holds it locked; end that process, or wait")

    reading = sqlite3.connect(file, timeout=LONGEST_WAIT_S)
    with contextlib.closing(reading) as source, contextlib.closing(sqlite3.connect(part)) as target:
        target.execute("PRAGMA journal_mode = OFF")  # a part of a copy is of no use, so nothing is rolled back
        source.backup(target, progress=waiting)


def _refuse_journal(copy: Path) -> None:
    """Raise StoreError if a killed writer of another database of that name left its journal."""
    for ending in _BESIDE:
        beside = copy.with_name(copy.name + ending)
        if os.path.lexists(beside):
            raise StoreError(
                f"{copy} is refused: {beside.name} is there, of another database of that name; move it away, or choose"
                " another name"
            )


def _rename_to_new(part: Path, copy: Path) -> None:
    """Give the file its name, and never take the place of a file that came meanwhile, as ``rename`` would."""
    try:
        os.link(part, copy)
    except FileExistsError:
        raise
    except OSError:  # a file system without links, such as that of a memory stick
        if copy.exists():
            raise FileExistsError(copy) from None
        part.rename(copy)
