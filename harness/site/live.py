"""The site of a database that other processes write: made anew if it has changed, and not too often.

The state of a run that is under way changes with time alone: its lease ends, or its process does, and nobody writes.
So these states are looked up from time to time, too.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from harness.site.pages import Files, make_site
from harness.site.snapshot import Snapshot
from harness.store.database import locate, shown, sqlite_file
from harness.store.records import RunRecord
from harness.store.run_state import RunState
from harness.store.store import Store

REST = 5  # a site is made at most every so many times the seconds that making it takes
LEAST_S = 1.0
OTHERS_S = 30.0  # how often a database that is no file is read
STATES_S = 10.0  # how often the states of runs that are under way are looked up


class LiveSite:
    """The newest site of a database. Requests of several threads share it."""

    def __init__(self, location: str | None) -> None:
        self._location, url = location, locate(location)
        self._file, self._name = sqlite_file(url), Path(shown(url)).name
        self._lock = threading.Lock()
        self._ready_at = 0.0
        self._seen: Any = None
        self._files: Files = {}
        self._open: list[RunRecord] = []  # runs that are not done, and have not failed
        self._states: dict[int, RunState] = {}  # of these, as the site shows them
        self._look_at = 0.0

    def files(self) -> Files:
        """The files of the site; while another thread makes a new one, the old one.

        Raises:
            StoreError: the database cannot be read.
        """
        if self._lock.acquire(blocking=not self._files):
            try:
                state = self._state()
                may = time.monotonic() >= self._ready_at
                if not self._files or (may and (state != self._seen or self._states_changed())):
                    self._files, self._seen = self._made(), state
            finally:
                self._lock.release()
        return self._files

    def _made(self) -> Files:
        begun = time.monotonic()
        store = Snapshot.of(self._location)
        try:
            files = make_site(store, database=self._name, made="", live=True)
            self._open = [run for run in store.runs() if run.status == "running"]
            self._states = store.states(self._open)  # as the site shows them: a snapshot reads them once
        finally:
            store.close()
        ended = time.monotonic()
        self._look_at = ended + STATES_S
        self._ready_at = ended + max(LEAST_S, REST * (ended - begun))
        return files

    def _states_changed(self) -> bool:
        """Whether a run is in another state than the site shows, by the database's own time."""
        if not self._open or time.monotonic() < self._look_at:
            return False
        store = Store.read(self._location)
        try:
            found = store.states(self._open)
        finally:
            store.close()
        self._look_at = time.monotonic() + STATES_S
        return found != self._states

    def _state(self) -> Any:
        """What is another value if the database has changed."""
        if self._file is None:
            return int(time.monotonic() / OTHERS_S)
        try:
            status = self._file.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns
