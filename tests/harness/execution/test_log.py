"""A run's log on a full disk is missed by nobody's work, and in no silence."""

from __future__ import annotations

import logging
import resource
from pathlib import Path

import pytest

from harness.events import Event, Logged, Noted
from harness.execution.log import logging_to


def test_a_log_that_finds_no_room_is_reported_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reported: list[Event] = []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with logging_to(tmp_path / "log.txt", reported.append):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            for epoch in range(3):
                logging.getLogger("harness.training").info("epoch %d", epoch)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len([event for event in reported if isinstance(event, Logged)]) == 3
    assert [event.text for event in reported if isinstance(event, Noted)] == [
        f"the log {tmp_path / 'log.txt'} cannot be written (File too large): it lacks lines"
    ]
    assert capsys.readouterr() == ("", "")
