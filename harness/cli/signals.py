"""Signals that end a command early, with its state saved: SIGTERM, SIGHUP, and SIGUSR1, which schedulers send."""

from __future__ import annotations

import _thread
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import FrameType

from harness.errors import SAME_COMMAND

NAMES = ("SIGTERM", "SIGHUP", "SIGUSR1")
SAME_S = 1.0  # a hangup comes from the terminal and from the shell, and systemd sends SIGHUP right behind SIGTERM
_AGAIN_S = 0.01

_at_work: ContextVar[bool] = ContextVar("at_work", default=False)  # whether the command has begun what it was asked for


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Inside, the first of these signals asks the work to stop after its step or block; a later one ends at once.

    What comes within a second of the first is the same request, unless it is a second SIGTERM. A signal that is ignored
    stays ignored: whoever types ``nohup harness run`` wants the work to go on when the terminal is closed.

    Raises:
        Stopped: by the work, which says nothing of the signal; see ``stopped``.
    """
    from harness.runtime.stopping import ask_to_stop

    heard: list[int] = []
    first_s = 0.0

    def hear(number: int, _frame: FrameType | None) -> None:
        nonlocal first_s
        again = number == signal.SIGTERM and number in heard
        if heard and (again or time.monotonic() - first_s > SAME_S):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        heard.append(number)
        if len(heard) > 1:
            return
        first_s, name = time.monotonic(), signal.Signals(number).name
        ask_to_stop(name)
        text = f"harness: {name}: the step or block at work ends, then its state is saved; again ends at once\n"
        with contextlib.suppress(OSError):  # the terminal may be gone, which is why the signal came
            os.write(2, text.encode())  # not print: the handler may interrupt another print

    _at_work.set(True)
    # a request stays that came before: Python drops an exception that a handler raises within a destructor
    with _heard_by(hear):
        yield


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """Inside, each of these signals ends the command as Ctrl-C does: where no work goes on whose state could be saved.

    Raises:
        KeyboardInterrupt: such a signal came; ``stopped`` says which.
    """
    from harness.runtime.stopping import ask_to_stop, take_back_stop

    def hear(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second one ends at once
        ask_to_stop(signal.Signals(number).name)
        raise KeyboardInterrupt

    take_back_stop()
    _at_work.set(False)
    with _unlogged(KeyboardInterrupt), _come_again(), _heard_by(hear):
        yield


@contextlib.contextmanager
def _come_again() -> Iterator[None]:
    """Inside, a Ctrl-C that Python drops comes again a moment later, and nothing is printed of it.

    Python drops what a signal's handler raises within a destructor, or while a weak reference is cleared. The work
    would go on as if nobody had asked.
    """
    before, again = sys.unraisablehook, list[threading.Timer]()

    def dropped(found: sys.UnraisableHookArgs) -> None:
        if issubclass(found.exc_type, KeyboardInterrupt):
            again.append(threading.Timer(_AGAIN_S, _thread.interrupt_main))  # here it would be dropped once more
            again[-1].start()
        else:
            before(found)

    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in again:
            timer.cancel()


@contextlib.contextmanager
def _unlogged(kind: type[BaseException]) -> Iterator[None]:
    """Inside, nothing is printed for a log record of an exception of this kind.

    SQLAlchemy logs what interrupts it while it closes a connection, with the traceback, and raises it again.
    """
    printed = logging.lastResort  # what prints the records that no handler takes

    def tells_of_more(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], kind))

    if printed is None:
        yield
        return
    printed.addFilter(tells_of_more)
    try:
        yield
    finally:
        printed.removeFilter(tells_of_more)


@contextlib.contextmanager
def _heard_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Inside, a handler has these signals, but for those that are ignored, as ``nohup`` has SIGHUP ignored."""
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        numbers = []
    # None: a handler that is not Python's, which could not be put back
    before = {number: found for number in numbers if (found := signal.getsignal(number)) not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, found in before.items():
            signal.signal(number, found)


def interrupted_by_signal() -> bool:
    """Whether one of these signals, and not Ctrl-C, ended the command."""
    from harness.runtime.stopping import asked_by

    return asked_by() in NAMES


def going_on() -> str:
    """Which command goes on with what was stopped. With --fresh each command begins another attempt."""
    return f"{SAME_COMMAND} without --fresh" if _at_work.get() and "--fresh" in sys.argv[1:] else SAME_COMMAND


def stopped() -> tuple[int, str]:
    """What a command ends with that was asked to stop (128 and the signal's number, as a shell has it), and a line."""
    from harness.runtime.stopping import asked_by

    name = asked_by() or "SIGTERM"
    line = f"stopped by {name}; what was done is kept: run {going_on()} to go on from there"
    return 128 + signal.Signals[name].value, line
