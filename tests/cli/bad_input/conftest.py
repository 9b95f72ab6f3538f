"""Commands that must be refused, in an empty folder: none may train, and none may write."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.bad_input.given import tree
from tests.cli.conftest import Refused

WAIT_S = 300  # a slow machine is no hang


@pytest.fixture(autouse=True)
def narrow(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal is one line on a narrow console too."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """What waits for ever, such as for the other end of a pipe, ends the process with a traceback that says where."""
    faulthandler.dump_traceback_later(WAIT_S, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """What should be refused and is not must not take minutes."""

    def go_on(*_: object, **__: object) -> None:
        pytest.fail("it was not refused")

    monkeypatch.setattr("harness.execution.conduct.Conductor.conduct", go_on)


@pytest.fixture
def refusal(refusal: Refused, elsewhere: Path) -> Refused:
    """Runs a command here that must be refused and leave all as it was; gives the line that says why."""

    def call(command: str) -> str:
        before = tree(elsewhere)
        line = refusal(command)
        assert tree(elsewhere) == before
        return line

    return call
