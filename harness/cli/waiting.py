"""Shows on standard error what the store says while a command waits, such as for a lock of another process."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from harness.cli.console import print_line


class _Shown(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):  # such as a terminal that was closed: the statement goes on all the same
            print_line(f"note: {record.getMessage()}", error=True)


@contextlib.contextmanager
def waiting_shown(*, quiet: bool) -> Iterator[None]:
    """Inside, notes of the store are printed, unless quiet."""
    logger = logging.getLogger("harness.store")
    handler = logging.NullHandler() if quiet else _Shown()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
