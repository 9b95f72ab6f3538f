"""Workers compute with the code of the process that starts them, wherever that is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import harness

ROOT = Path(harness.__file__).parent.parent
COMMAND = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from harness.execution.executors.child import CONTEXT, start_worker

ours, theirs = CONTEXT.Pipe()
start_worker(exec, "import harness, os, queue; pipe.send([harness.__file__, queue.__file__, dict(os.environ)])",
             dict(pipe=theirs))
theirs.close()
*files, environment = ours.recv()
import os, queue
assert files == [__import__("harness").__file__, queue.__file__], files
assert environment == dict(os.environ), environment
print("same code")
"""
FORKED = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from harness.execution.executors.child import CONTEXT, start_worker

def answer():
    ours, theirs = CONTEXT.Pipe()
    worker = start_worker(exec, "pipe.send('here')", dict(pipe=theirs))
    theirs.close()
    print(ours.recv(), flush=True)
    worker.join()

answer()
if fork := os.fork():
    assert os.waitpid(fork, 0)[1] == 0
answer()
"""


@pytest.mark.parametrize("options", [[], ["-E"], ["-I"]])
def test_workers_have_the_code_of_the_command(options: list[str], tmp_path: Path) -> None:
    """A user may work in a folder with another ``harness``, or with a module that is named as one of Python's own."""
    command, folder = tmp_path / "command.py", tmp_path / "folder"
    (folder / "harness").mkdir(parents=True)
    for file in (folder / "harness" / "__init__.py", folder / "queue.py"):
        file.write_text("raise SystemExit('a file of the working directory was imported')")
    command.write_text(COMMAND)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    arguments = [sys.executable, *options, str(command)]
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("same code\n", 0), done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, nothing is forked")
def test_a_fork_of_the_command_has_workers_too() -> None:
    """The command has begun workers, then forks, as a pool of Python's does; both have workers afterwards."""
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("here\n" * 3, 0), done.stderr
