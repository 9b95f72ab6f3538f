"""A run's log: the records of harness's loggers during an item of work."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from harness.events import Logged, Report

LOG_FILE = "log.txt"


class _Log(logging.FileHandler):
    """Writes each record to the run's log, and reports it."""

    def __init__(self, file: Path, report: Report) -> None:
        super().__init__(file)
        self._report = report
        self.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        self._report(Logged(self.format(record)))


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
