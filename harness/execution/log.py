"""A run's log: the records of harness's loggers during an item of work, and what plugins and models print in it."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.errors import visible
from harness.events import Logged, Noted, Report
from harness.plugin.settings import Plugin
from harness.registry.catalogue import noun_of
from harness.registry.shipped import ships

LOG_FILE = "log.txt"
_noted: set[Path] = set()  # logs with prints about which this process has reported


class _Lines(logging.Formatter):
    """Writes a record in one line, and below it the traceback of an exception, if there is one.

    What plugins print and raise is shown, and acts on no terminal; no text of theirs looks like another record.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging calls it so
        record.message = visible(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return "\n".join(f"  {visible(line)}" for line in super().formatException(ei).split("\n"))


class _Log(logging.FileHandler):
    """Writes each record to the run's log, and reports it.

    A log that cannot be written, as on a full disk, is reported once and stops nothing.
    """

    def __init__(self, file: Path, report: Report) -> None:
        super().__init__(file, encoding="utf-8", errors="backslashreplace")
        self._file, self._report, self._lost = file, report, False
        self.setFormatter(_Lines("%(asctime)s %(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        self._report(Logged(self.format(record)))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging calls it so
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._lost:
            self._lost = True
            self._report(Noted(f"the log {self._file} cannot be written ({error.strerror}): it lacks lines"))

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closing writes what could not be written before
            super().close()


@contextlib.contextmanager
def logging_to(file: Path, report: Report) -> Iterator[None]:
    """Inside, records of harness's loggers go to the run's log, and are reported."""
    file.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("harness")
    handler = _Log(file, report)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
        logger.setLevel(level)
        logger.propagate = propagate


def speaker_of(plugins: Sequence[Plugin]) -> str:
    """Who may print, in words: the plugins that do not ship."""
    return " or ".join(f"{noun_of(type(p))} {p.name!r}" for p in plugins if not ships(type(p))) or "something"


class PrintLog(io.TextIOBase):
    """In place of standard output, which is for results alone: logs each line, and sends one note at the first text.

    Args:
        speaker: who may print, in words.
        file: the run's log.
    """

    def __init__(self, speaker: str, file: Path, report: Report) -> None:
        self._speaker, self._file, self._report, self._line = speaker, file, report, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            logging.getLogger("harness.plugins").info("printed: %s", line)
        if text.strip() and self._file.absolute() not in _noted:
            _noted.add(self._file.absolute())
            self._report(Noted(f"{self._speaker} prints; it goes to {self._file}"))
        return len(text)
