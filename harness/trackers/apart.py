"""A tracker in a process of its own, so that its library cannot touch this one.

Tracking libraries replace ``sys.stdout``, set environment variables, start threads, wait for servers at exit, and may
draw random numbers. So a process is given the calls, as pickles through a pipe, and answers each. It can be killed.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import tempfile
from typing import IO, Any, cast

from harness.errors import HarnessError, visible
from harness.events import EpochRecord, Finding
from harness.trackers.outcomes import EvaluationDone
from harness.trackers.tracker import RunStatus, TrackedRun, Tracker

_BOOT = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from harness.trackers.child import make_calls
make_calls()
"""


class TrackerFailed(HarnessError):
    """A call failed in the other process; the text is its exception in one line."""


class Apart(Tracker):
    """Passes calls on to a tracker that is made in another process, which starts with the first call.

    The process ignores Ctrl-C. It ends with ``close``, or by itself where this process is gone: then it ends the runs
    that are open as stopped.

    Args:
        module, cls: where the tracker's class is; ``place`` is its one argument.
    """

    def __init__(self, name: str, module: str, cls: str, place: str) -> None:
        self.name, self._made_of = name, (module, cls, place)
        self._process: subprocess.Popen[bytes] | None = None
        self._printed: IO[bytes] | None = None  # what the library prints

    def run_began(self, run: TrackedRun) -> str | None:
        return cast("str | None", self._ask("run_began", run))

    def epoch_done(self, run: TrackedRun, record: EpochRecord) -> None:
        self._ask("epoch_done", run, record)

    def evaluation_done(self, run: TrackedRun, evaluation: EvaluationDone) -> None:
        self._ask("evaluation_done", run, evaluation)

    def flagged(self, run: TrackedRun, checkpoint: str, finding: Finding) -> None:
        self._ask("flagged", run, checkpoint, finding)

    def run_ended(self, run: TrackedRun, status: RunStatus, reason: str | None) -> None:
        self._ask("run_ended", run, status, reason)

    def close(self) -> None:
        if self._process is None:
            return
        try:
            self._ask("close")
        finally:
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._process.wait()
            self._release()

    def abandon(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def ended(self) -> bool:
        """Whether its process is gone, or never began."""
        return self._process is None or self._process.poll() is not None

    def _ask(self, method: str, *arguments: object) -> object:
        """Have the other process make a call; give what the call returned.

        Raises:
            TrackerFailed: the call raised an exception, or the process ended.
        """
        if self._process is None:
            self._process = self._start()
        try:
            self._send((method, arguments))
            assert self._process.stdout is not None
            ok, answer = pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise TrackerFailed(self._last_words()) from None
        if not ok:
            raise TrackerFailed(answer)
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115  # ``close`` closes it
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _BOOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            start_new_session=True,  # Ctrl-C is for this process, which then tells the other one
        )
        with contextlib.suppress(OSError):  # it has ended already: the first call says so
            self._send(sys.path)
            self._send(self._made_of)
        return self._process

    def _send(self, message: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        pickle.dump(message, self._process.stdin)
        self._process.stdin.flush()

    def _last_words(self) -> str:
        """How the process ended, and the last line that it printed."""
        assert self._process is not None
        assert self._printed is not None
        code = self._process.wait()
        self._printed.seek(0)
        lines = self._printed.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"its process ended with exit code {code}" + (f": {visible(last)[:300]}" if last else "")

    def _release(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._printed is not None
        self._process.stdout.close()
        self._printed.close()
