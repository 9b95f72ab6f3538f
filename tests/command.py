"""The command line, run in this process."""

from __future__ import annotations

import shlex
import sys

import pytest

from harness.cli.main import main


def exit_code(command: str, *, comments: bool = False) -> int:
    """Run a command line that begins with ``harness``, to its end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", shlex.split(command, comments=comments))
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return ended.value.code
