"""A run's log: nothing in it acts on a terminal, and on a full disk nobody's work misses it, and in no silence."""

from __future__ import annotations

import logging
import re
import resource
from pathlib import Path

import pytest

from harness.errors import visible
from harness.events import Event, Logged, Noted
from harness.execution.log import PrintLog, logging_to
from tests.hostile_labels import LABELS, unseen


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


@pytest.mark.parametrize("label", LABELS, ids=ascii)
def test_what_plugins_print_and_raise_is_one_line_each_and_acts_on_nothing(label: str, tmp_path: Path) -> None:
    """Each record is a line with its time; below it stands its traceback, set off by spaces."""
    reported: list[Event] = []
    file = tmp_path / "log.txt"
    with logging_to(file, reported.append):
        logging.getLogger("harness.training").info("begins %s", label)
        print(label, file=PrintLog("a method", file, reported.append))
        try:
            raise ValueError(label)
        except ValueError:
            logging.getLogger("harness.plugins").exception("raised by %s", label)
    text = file.read_text(encoding="utf-8")
    assert unseen(text) == set()
    assert unseen("".join(event.text for event in reported if isinstance(event, Logged))) == set()
    begins = [line for line in text.split("\n") if line and not line.startswith("  ")]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} harness\.", line) for line in begins)
    assert len(begins) == 2 + len(label.split("\n"))
    assert f"raised by {visible(label)}\n  Traceback (most recent call last):\n" in text
    for line in label.split("\n"):
        assert f"harness.plugins INFO printed: {visible(line)}" in text


def test_a_log_takes_every_character_whatever_the_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: "ascii")
    with logging_to(tmp_path / "log.txt", lambda _: None):
        logging.getLogger("harness.training").info("été 猫 \udc80")
    assert (tmp_path / "log.txt").read_text(encoding="utf-8").endswith("été 猫 \\udc80\n")
