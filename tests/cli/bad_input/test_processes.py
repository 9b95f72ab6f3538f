"""The installed command refuses alike, and a bug keeps its traceback."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.bad_input.given import RUN, tree


class TestFreshProcess:
    @pytest.mark.parametrize("command", [f"{RUN} --seeds 0", "leaderboard --db notes"])
    def test_the_installed_command_refuses_alike(self, elsewhere: Path, command: str) -> None:
        (elsewhere / "notes").write_text("no database\n" * 50)
        before = tree(elsewhere)
        harness = Path(sys.executable).parent / "harness"
        ended = subprocess.run([harness, *shlex.split(command)], capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
        assert ended.stderr.startswith("harness: ")
        assert tree(elsewhere) == before

    def test_a_bug_keeps_its_traceback(self, elsewhere: Path) -> None:
        program = (
            "import harness.store.store as store; from harness.cli.main import main; import sys\n"
            "def broken(*_): raise ZeroDivisionError('a bug')\n"
            "store.Store.read = broken; sys.argv = ['harness', 'runs']; main()"
        )
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        assert "Traceback" in ended.stderr
        assert "ZeroDivisionError: a bug" in ended.stderr
