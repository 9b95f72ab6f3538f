"""Commands run in this process, in an empty folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import exit_code

Harness = Callable[[str], str]
Refused = Callable[[str], str]
Ends = Callable[[str], tuple[int, str, str]]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, no variable of the user's, and an output wide enough that nothing is folded."""
    for name in ("DB", "PLUGINS", "RUNS_DIR", "DATA_DIR", "CONFIG"):
        monkeypatch.delenv(f"HARNESS_{name}", raising=False)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ends(capsys: pytest.CaptureFixture[str]) -> Ends:
    """Runs a command here to its end; gives its exit code, standard output, and standard error."""

    def call(command: str) -> tuple[int, str, str]:
        return exit_code(f"harness {command}"), *capsys.readouterr()

    return call


@pytest.fixture
def harness(ends: Ends) -> Harness:
    """Runs a command here that succeeds; gives its standard output."""

    def call(command: str) -> str:
        code, out, err = ends(command)
        assert code == 0, err
        return out

    return call


@pytest.fixture
def fails(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> Ends:
    """Runs a command here that may fail, but not by a bug, and shows on standard error what logging prints there."""

    def call(command: str) -> tuple[int, str, str]:
        monkeypatch.setattr(logging.root, "handlers", [])  # pytest's own would hide it
        code, out, err = ends(command)
        assert "Traceback" not in err
        return code, out, err

    return call


@pytest.fixture
def refusal(ends: Ends) -> Refused:
    """Runs a command here that must be refused; gives the line that says why."""

    def call(command: str) -> str:
        code, out, err = ends(command)
        assert (code, out) == (2, "")
        assert err.startswith("harness: ")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        return err

    return call
