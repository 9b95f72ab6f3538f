"""What plugins print while they train: it goes to the run's log, and is told of once."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.plugins import noun_of
from harness.settings import Plugin
from harness.shipped import ships


@contextlib.contextmanager
def prints_logged(plugins: Sequence[Plugin], file: Path) -> Iterator[None]:
    """Send what is printed inside to the run's log; standard output is for results alone.

    Args:
        plugins: those that run inside; of these the ones that do not ship are told of.
        file: the log.
    """
    with contextlib.redirect_stdout(_ToLog(plugins, file)):
        yield


class _ToLog(io.TextIOBase):
    """A text stream that logs each line, and says so on standard error when the first one comes."""

    def __init__(self, plugins: Sequence[Plugin], file: Path) -> None:
        self._names = " or ".join(f"{noun_of(type(p))} {p.name!r}" for p in plugins if not ships(type(p)))
        self._file, self._told, self._line = file, False, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            logging.getLogger("harness.plugins").info("printed: %s", line)
        if text.strip() and not self._told:
            self._told = True
            print(f"harness: {self._names or 'something'} prints; it goes to {self._file}", file=sys.stderr)
        return len(text)
