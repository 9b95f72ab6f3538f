"""A folder with one run, evaluated with one attack seed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Ends, Refused
from tests.cli.evaluate.given import PROTOCOL, TRAIN
from tests.command import exit_code


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run, evaluated with one attack seed, and its protocol."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "quick.toml").write_text(PROTOCOL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("HARNESS_DB", raising=False)
        assert exit_code(f"harness {TRAIN} --seeds 1 --no-checks") == 0
    return folder


@pytest.fixture
def place(elsewhere: Path, trained: Path) -> Path:
    """A copy of it, which is the working directory."""
    shutil.copytree(trained, elsewhere, dirs_exist_ok=True)
    return elsewhere


@pytest.fixture
def refused(ends: Ends) -> Refused:
    """Runs a command here that must be refused; gives the line that says why, the last after its normalisations."""

    def call(command: str) -> str:
        code, out, err = ends(command)
        assert (code, out) == (2, "")
        *before, line = err.splitlines()
        assert command.startswith("run ") or all(text.startswith("normalisation: ") for text in before)
        return line

    return call
