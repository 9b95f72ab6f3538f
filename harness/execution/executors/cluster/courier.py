"""Brings home what an item writes on the machine of its worker: weights, states, and its log."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.events import Event, Logged, Noted
from harness.execution.executors.cluster.messages import FileMade, LogGrew, Message
from harness.execution.log import LOG_FILE
from harness.training.state_file import STATE_BEFORE
from harness.unfinished import is_unfinished


class Courier:
    """Hands on an item's events, and before each of them what has come to the item's folder.

    An event says that a state or a checkpoint is on the disk; so it follows the file.

    Args:
        folder: where the item writes.
        home: where the command has these files.
        send: takes the messages; any thread may call ``report``.
    """

    def __init__(self, folder: Path, home: Path, send: Callable[[Message], None]) -> None:
        self._folder, self._home, self._send = folder, home, send
        self._seen: dict[str, tuple[int, ...]] = {path.name: _version(path) for path in folder.iterdir()}
        self._logged = 0  # bytes
        self._one_at_a_time = threading.Lock()

    def report(self, event: Event) -> None:
        """Hand on an event."""
        with self._one_at_a_time:
            self._look()
            if isinstance(event, (Noted, Logged)):
                event = replace(event, text=self._at_home(event.text))
            self._send(event)

    def look(self) -> None:
        """Hand on what has come to the folder."""
        with self._one_at_a_time:
            self._look()

    def tell_of_home(self, error: BaseException) -> None:
        """Have an error name the files where the command has them."""
        error.args = tuple(self._at_home(part) if isinstance(part, str) else part for part in error.args)

    def _at_home(self, text: str) -> str:
        return text.replace(str(self._folder), str(self._home))

    def _look(self) -> None:
        for path in sorted(self._folder.iterdir()):
            if path.name == LOG_FILE:
                self._send_log(path)
            elif path.is_file() and path.name != STATE_BEFORE and not is_unfinished(path):
                with contextlib.suppress(FileNotFoundError):  # a newer one takes its place: it is seen the next time
                    version = _version(path)
                    if self._seen.get(path.name) != version:
                        self._send(FileMade(path.name, path.read_bytes()))
                        self._seen[path.name] = version

    def _send_log(self, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(self._logged)
            content = file.read()
        if content:
            self._logged += len(content)
            self._send(LogGrew(content.replace(bytes(self._folder), bytes(self._home))))


def _version(path: Path) -> tuple[int, ...]:
    """Changes when another file takes a file's place."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
