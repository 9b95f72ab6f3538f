"""A folder with one run, evaluated with one attack seed."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest

from harness.cli.main import main
from tests.cli.evaluate.given import PROTOCOL, TRAIN


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run, evaluated with one attack seed, and its protocol."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "quick.toml").write_text(PROTOCOL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("HARNESS_DB", raising=False)
        patch.setattr(sys, "argv", ["harness", *shlex.split(f"{TRAIN} --seeds 1 --no-checks")])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 0
    return folder


@pytest.fixture
def place(elsewhere: Path, trained: Path) -> Path:
    """A copy of it, which is the working directory."""
    shutil.copytree(trained, elsewhere, dirs_exist_ok=True)
    return elsewhere
