"""Commands in processes of their own, which a test may kill, freeze, or send signals; fresh ones, and forked ones."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

ROOT = Path(__file__).parents[2]
HARNESS = Path(sys.executable).parent / "harness"
PATIENCE_S = 240.0  # how long a machine that has other work takes at most; who waits longer hangs
_numbers = count(1)


def until(happens: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Wait until something happens."""
    end = time.monotonic() + patience_s
    while not happens():
        assert time.monotonic() < end, f"it did not happen within {patience_s} s"
        time.sleep(0.01)


def environment(more: Mapping[str, str] = {}) -> dict[str, str]:  # nobody changes it
    """The environment of a command, without the user's own settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HARNESS_")}
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent), str(ROOT), kept.get("PYTHONPATH"))))
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path} | dict(more)


@dataclass
class Started:
    """A command at work, in a process group of its own."""

    pid: int
    notes: Path  # the files of its output and of its end begin so
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)  # of a fresh one

    @property
    def out(self) -> str:
        return self.notes.with_suffix(".out").read_text(errors="replace")

    @property
    def err(self) -> str:
        file = self.notes.with_suffix(".err")
        return file.read_text(errors="replace") if file.exists() else ""

    def ended(self) -> int | None:
        """The exit code, or the signal's number below zero; None while it is at work."""
        if self.process is not None:
            return self.process.poll()
        file = self.notes.with_suffix(".ended")
        return int(file.read_text()) if file.exists() else None

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        end = time.monotonic() + patience_s
        while (code := self.ended()) is None:
            assert time.monotonic() < end, f"it is still at work after {patience_s} s: {self.err}"
            time.sleep(0.01)
        return code

    def send(self, number: int, *, group: bool = False) -> None:
        """Send a signal, if the process is still there."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def descendants(self) -> list[int]:
        """The processes that it has started, and these in turn, which are still there: its workers are among them."""
        return list(_below(self.pid))

    def workers(self) -> list[int]:
        """Those of them that train and attack. multiprocessing has one that workers are forked from, and one that
        tidies up."""
        forker = [pid for pid in _children(self.pid) if "forkserver" in _command_line(pid)]
        return [worker for pid in forker for worker in _children(pid)]

    def end(self) -> None:
        """Leave nothing of it behind."""
        self.send(signal.SIGKILL, group=True)
        if self.process is not None:
            self.process.wait()


def _below(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _below(child)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


class Starter:
    """Starts commands: each in a fresh process of the installed program, or forked from one that has it imported."""

    def __init__(self, notes: Path, *, fresh: bool = False) -> None:
        self._notes, self._fresh = notes, fresh
        self._forker: subprocess.Popen[str] | None = None
        self._started: list[Started] = []

    def start(self, folder: Path, *command: str, more: Mapping[str, str] = {}, fresh: bool = False) -> Started:
        """Start ``harness`` with these words, in a folder."""
        notes = self._notes / str(next(_numbers))
        places = {"out": str(notes.with_suffix(".out")), "err": str(notes.with_suffix(".err"))}
        if fresh or self._fresh:
            with Path(places["out"]).open("wb") as out, Path(places["err"]).open("wb") as err:
                process = subprocess.Popen(
                    [str(HARNESS), *command],
                    cwd=folder,
                    env=environment(more),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                )
            started = Started(process.pid, notes, process)
        else:
            asked = places | {"ended": str(notes.with_suffix(".ended")), "folder": str(folder)}
            asked |= {"command": ["harness", *command], "environment": environment(more)}  # type: ignore[dict-item]
            forker = self.ready()
            assert forker.stdin is not None
            assert forker.stdout is not None
            print(json.dumps(asked), file=forker.stdin, flush=True)
            started = Started(int(forker.stdout.readline()), notes)
        self._started.append(started)
        return started

    def run(self, folder: Path, *command: str, more: Mapping[str, str] = {}, code: int | None = 0) -> Started:
        """Start a command and wait for its end, which must have this exit code; None: any."""
        started = self.start(folder, *command, more=more)
        ended = started.wait()
        assert code is None or ended == code, (ended, started.err)
        return started

    def ready(self) -> subprocess.Popen[str]:
        """Have the process that forks; its start takes seconds."""
        if self._forker is None:
            self._forker = subprocess.Popen(
                [sys.executable, "-m", "tests.dying.forker"],
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert self._forker.stdout is not None
            assert self._forker.stdout.readline() == "ready\n"
        return self._forker

    def end(self) -> None:
        """End every command that is still at work."""
        for started in self._started:
            if started.ended() is None:
                started.end()
        self._started.clear()

    def close(self) -> None:
        self.end()
        if self._forker is not None:
            self._forker.kill()
            self._forker.communicate()


@contextlib.contextmanager
def starter(notes: Path, *, fresh: bool = False) -> Iterator[Starter]:
    """A starter whose commands all end with the block."""
    made = Starter(notes, fresh=fresh)
    try:
        yield made
    finally:
        made.close()
