"""Where prints go while code of others runs: standard output is for results.

Python's ``print`` holds no reference to ``sys.stdout`` while it writes. So a stream that stands there for a while must
never be freed: a thread of a tracker may be printing. There is one such stream, and what changes is where it writes.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, TextIO

Stream = TextIO | io.TextIOBase


class OwnOutput(threading.Thread):
    """A thread whose prints go to a stream of its own. A daemon, so that a call that hangs keeps no process alive."""

    def __init__(self, target: Callable[[], None], name: str, stdout: TextIO) -> None:
        super().__init__(target=target, name=name, daemon=True)
        self.stdout = stdout


class _Prints(io.TextIOBase):
    """Writes to one stream after the other, as ``prints_to`` says; what an ``OwnOutput`` writes goes to its own."""

    to: Stream | None = None  # standard error: somebody may have kept this stream

    def _stream(self) -> Any:
        thread = threading.current_thread()
        return thread.stdout if isinstance(thread, OwnOutput) else self.to or sys.stderr

    def write(self, text: str) -> int:
        return int(self._stream().write(text))

    def flush(self) -> None:
        self._stream().flush()

    def close(self) -> None:
        """Nothing: the stream is everybody's."""

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return bool(self._stream().isatty())

    def fileno(self) -> int:
        return int(self._stream().fileno())

    @property
    def buffer(self) -> Any:
        """For bytes; an ``AttributeError`` where the stream takes none."""
        return self._stream().buffer

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream; a log takes every character."""
        return self._stream().encoding or "utf-8"


_PRINTS = _Prints()


@contextlib.contextmanager
def prints_to(stream: Stream) -> Iterator[None]:
    """Send to a stream what is printed meanwhile, in any thread but those of trackers."""
    before, _PRINTS.to = _PRINTS.to, stream
    try:
        with contextlib.redirect_stdout(_PRINTS):
            yield
    finally:
        _PRINTS.to = before


class KeptOutput(io.TextIOWrapper):
    """A copy of the process's standard output, with a descriptor of its own."""


def kept_stdout() -> TextIO:
    """Standard output as it is now, for later: ``quiet`` sends its descriptor elsewhere for a while.

    A ``KeptOutput`` where it is the process's own; else the stream that somebody has put there.
    """
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper) or id(stream) != id(sys.__stdout__):
        return stream
    try:
        stream.flush()
        copy = io.FileIO(os.dup(stream.fileno()), "w")
    except (OSError, ValueError):  # it is closed
        return stream
    return KeptOutput(io.BufferedWriter(copy), stream.encoding, stream.errors, line_buffering=True)


def release(kept: TextIO) -> None:
    """Close what ``kept_stdout`` gave, if it is a copy."""
    if isinstance(kept, KeptOutput):
        kept.close()
