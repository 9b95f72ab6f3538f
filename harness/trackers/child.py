"""The process in which a tracker's library works: makes each call that comes, and answers it. See ``apart.py``."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from importlib import import_module
from typing import IO, Any

from harness.errors import one_line
from harness.trackers.tracker import TrackedRun, Tracker


def make_calls() -> None:
    """Make calls until the other process closes the pipe. It has sent ``sys.path``; next it sends the tracker's class.

    What a library prints goes to standard error, since standard output has the answers.
    """
    calls = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    module, cls, place = pickle.load(calls)
    tracker: Tracker | None = None
    begun: dict[str, TrackedRun] = {}
    while True:
        try:
            method, arguments = pickle.load(calls)
        except EOFError:
            break
        try:
            if tracker is None:
                tracker = getattr(import_module(module), cls)(place)
            answer = (True, getattr(tracker, method)(*arguments))
        except BaseException as error:
            answer = (False, one_line(error))
        _note(begun, method, arguments)
        _answer(answers, answer)
    _end(tracker, begun)


def _note(begun: dict[str, TrackedRun], method: str, arguments: tuple[Any, ...]) -> None:
    """Keep in mind which runs are open."""
    if method == "run_began":
        begun[arguments[0].key] = arguments[0]
    elif method == "run_ended":
        begun.pop(arguments[0].key, None)
    elif method == "close":
        begun.clear()


def _answer(answers: IO[bytes], answer: tuple[bool, Any]) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more; the next call will not come
        pickle.dump(answer, answers)
        answers.flush()


def _end(tracker: Tracker | None, begun: dict[str, TrackedRun]) -> None:
    """The other process is gone, perhaps killed: end what it left open."""
    if tracker is None or not begun:
        return
    with contextlib.suppress(Exception):
        for run in begun.values():
            tracker.run_ended(run, "stopped", None)
        tracker.close()
