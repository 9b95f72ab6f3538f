"""Commands run in this process, in an empty folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli.main import main

Harness = Callable[[str], str]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, no variable of the user's, and an output wide enough that nothing is folded."""
    for name in ("HARNESS_DB", "HARNESS_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Harness:
    """Runs a command here that succeeds; gives its standard output."""

    def call(command: str) -> str:
        monkeypatch.setattr(sys, "argv", ["harness", *shlex.split(command)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert ended.value.code == 0, err
        return out

    return call
