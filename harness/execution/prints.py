"""What plugins and models print goes to the run's log, and the user gets one note about it."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.events import Noted, Report
from harness.plugin.settings import Plugin
from harness.registry.catalogue import noun_of
from harness.registry.shipped import ships

_noted: set[Path] = set()  # logs about which this process has reported


def speaker_of(plugins: Sequence[Plugin]) -> str:
    """Who may print, in words: the plugins that do not ship."""
    return " or ".join(f"{noun_of(type(p))} {p.name!r}" for p in plugins if not ships(type(p))) or "something"


@contextlib.contextmanager
def prints_logged(speaker: str, file: Path, report: Report) -> Iterator[None]:
    """Send what is printed inside to the run's log; standard output is for results alone.

    Args:
        speaker: who may print, in words.
        file: the log.
    """
    with contextlib.redirect_stdout(_ToLog(speaker, file, report)):
        yield


class _ToLog(io.TextIOBase):
    """A text stream that logs each line, and sends one note at the first text."""

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
