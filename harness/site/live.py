"""The site of a database that other processes write: made anew if the database has changed, and not too often."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from harness.site.pages import Files, make_site
from harness.site.snapshot import Snapshot
from harness.store.database import locate, shown, sqlite_file

REST = 5  # a site is made at most every so many times the seconds that making it takes
LEAST_S = 1.0
OTHERS_S = 30.0  # how often a database that is no file is read


class LiveSite:
    """The newest site of a database. Requests of several threads share it."""

    def __init__(self, location: str | None) -> None:
        self._location, url = location, locate(location)
        self._file, self._name = sqlite_file(url), Path(shown(url)).name
        self._lock = threading.Lock()
        self._ready_at = 0.0
        self._seen: Any = None
        self._files: Files = {}

    def files(self) -> Files:
        """The files of the site; while another thread makes a new one, the old one.

        Raises:
            StoreError: the database cannot be read.
        """
        if self._lock.acquire(blocking=not self._files):
            try:
                state = self._state()
                if not self._files or (state != self._seen and time.monotonic() >= self._ready_at):
                    self._files, self._seen = self._made(), state
            finally:
                self._lock.release()
        return self._files

    def _made(self) -> Files:
        begun = time.monotonic()
        store = Snapshot.of(self._location)
        try:
            files = make_site(store, database=self._name, made="", live=True)
        finally:
            store.close()
        ended = time.monotonic()
        self._ready_at = ended + max(LEAST_S, REST * (ended - begun))
        return files

    def _state(self) -> Any:
        """What is another value if the database has changed."""
        if self._file is None:
            return int(time.monotonic() / OTHERS_S)
        try:
            status = self._file.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns
