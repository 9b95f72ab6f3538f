"""Signals that end a command early, with its state saved: SIGTERM, SIGHUP, and SIGUSR1, which schedulers send."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

NAMES = ("SIGTERM", "SIGHUP", "SIGUSR1")


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Inside, the first of these signals asks the work to stop after its step or block; a second one ends at once.

    Raises:
        Stopped: by the work, which says nothing of the signal; see ``stopped``.
    """
    from harness.runtime.stopping import ask_to_stop, asked_to_stop, take_back_stop

    def hear(number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if asked_to_stop():
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        ask_to_stop(name)
        text = f"harness: {name}: the step or block at work ends, then its state is saved; again ends at once\n"
        os.write(2, text.encode())  # not print: the handler may interrupt another print

    take_back_stop()
    before = {number: signal.signal(number, hear) for name in NAMES if (number := getattr(signal, name, None))}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stopped() -> tuple[int, str]:
    """What a command ends with that was asked to stop (128 and the signal's number, as a shell has it), and a line."""
    from harness.runtime.stopping import asked_by

    name = asked_by() or "SIGTERM"
    line = f"stopped by {name}; what was done is kept: run the same command to go on from there"
    return 128 + signal.Signals[name].value, line
