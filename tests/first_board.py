"""The board of the first seven methods, on the digits and on photographs: ``leaderboard.db`` without later runs.

Tests that name its figures, or count its rows, keep them while the published board grows.
"""

from __future__ import annotations

import atexit
import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path

PUBLISHED = Path(__file__).resolve().parent.parent / "leaderboard.db"
LAST_RUN, LAST_PROTOCOL = 42, 4


def _without_later_runs() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="first-board-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = Path(shutil.copy(PUBLISHED, folder))
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        with connection:
            connection.execute("DELETE FROM runs WHERE id > ?", (LAST_RUN,))
            connection.execute("DELETE FROM protocols WHERE id > ?", (LAST_PROTOCOL,))
            for (table,) in connection.execute("SELECT name FROM sqlite_sequence").fetchall():
                newest = f"(SELECT coalesce(max(id), 0) FROM {table})"
                connection.execute(f"UPDATE sqlite_sequence SET seq = {newest} WHERE name = ?", (table,))
        connection.execute("VACUUM")
    return file


FIRST_BOARD = _without_later_runs()
"""A file that is only to be read, or copied."""
