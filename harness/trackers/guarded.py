"""Guards a tracker: whatever it does, the run goes on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from harness.errors import one_line
from harness.locations import without_secrets_in
from harness.runtime.printing import OwnOutput, kept_stdout, release
from harness.trackers.tracker import Tracker

Tell = Callable[[str], None]
"""Receives a text for the user, one line."""

QUEUED = 10_000  # calls that wait; more than a run has, unless the tracker hangs
PATIENCE_S = 60.0  # at the end of a command, for one call
PATIENCE_STOPPED_S = 10.0  # after the user stopped the command


class GuardedTracker:
    """Calls a tracker from a thread of its own, which begins with the first call.

    The first failure is told, in one line. Then the tracker is off: it gets no more calls but ``close``. A tracker
    fails if a call raises an exception, if more calls wait than the queue takes, or if, at the end of the command, one
    call takes longer than the patience. Then it is abandoned. What it prints goes where this process printed when the
    command began.

    Args:
        note: receives where the tracker's first run can be seen.
        alert: receives the failure.
        queued: the most calls that wait.
    """

    def __init__(self, tracker: Tracker, note: Tell, alert: Tell, *, queued: int = QUEUED) -> None:
        self.tracker, self._note, self._alert, self._queued = tracker, note, alert, queued
        self._calls: queue.SimpleQueue[tuple[str, tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._thread: OwnOutput | None = None
        self._stdout = kept_stdout()
        self._lock, self._off, self._shown = threading.Lock(), False, False
        self._returned, self._ended = 0, threading.Event()

    def call(self, method: str, *arguments: Any) -> None:
        """Have a method of the tracker called, sooner or later. This never waits."""
        if self._off:
            return
        if self._thread is None:
            self._thread = OwnOutput(self._serve, f"tracker {self.tracker.name}", self._stdout)
            self._thread.start()
        if self._calls.qsize() >= self._queued:
            self._fail(f"it does not keep up: {self._queued} calls wait for it")
        else:
            self._calls.put((method, arguments))

    def close(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until all calls are made and the tracker is closed, as long as its calls return."""
        if self._thread is None:
            release(self._stdout)
            return
        returned = self._returned
        self._calls.put(None)
        try:
            while not self._ended.wait(patience_s):
                if self._returned == returned:
                    self._fail(f"a call has not returned for {patience_s:g} s")
                    break
                returned = self._returned
        finally:
            if not self._ended.is_set():
                self.tracker.abandon()

    def _serve(self) -> None:
        """The thread: makes the calls, one after the other."""
        while (call := self._calls.get()) is not None:
            method, arguments = call
            if not self._off:
                self._make(method, *arguments)
        self._make("close")
        release(self._stdout)
        self._ended.set()

    def _make(self, method: str, *arguments: Any) -> None:
        try:
            place = getattr(self.tracker, method)(*arguments)
        except BaseException as error:  # somebody else's code; SystemExit would end the thread without a word
            self._fail(one_line(error))
        else:
            if method == "run_began" and isinstance(place, str) and not self._shown:
                self._shown = True
                self._note(f"{self.tracker.name}: {without_secrets_in(place)}")
        self._returned += 1

    def _fail(self, reason: str) -> None:
        with self._lock:
            first, self._off = not self._off, True
        if first:
            why = without_secrets_in(reason)
            self._alert(f"tracker {self.tracker.name} is off: {why}; the work goes on without it")
