"""Signals that end a command early, with its state saved: SIGTERM, SIGHUP, and SIGUSR1, which schedulers send."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType

NAMES = ("SIGTERM", "SIGHUP", "SIGUSR1")
SAME_S = 1.0  # a hangup comes from the terminal and from the shell, and systemd sends SIGHUP right behind SIGTERM


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Inside, the first of these signals asks the work to stop after its step or block; a later one ends at once.

    What comes within a second of the first is the same request. A signal that is ignored stays ignored: whoever types
    ``nohup harness run`` wants the work to go on when the terminal is closed.

    Raises:
        Stopped: by the work, which says nothing of the signal; see ``stopped``.
    """
    from harness.runtime.stopping import ask_to_stop, take_back_stop

    asked_s: list[float] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if asked_s:
            if time.monotonic() - asked_s[0] > SAME_S:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        asked_s.append(time.monotonic())
        ask_to_stop(name)
        text = f"harness: {name}: the step or block at work ends, then its state is saved; again ends at once\n"
        with contextlib.suppress(OSError):  # the terminal may be gone, which is why the signal came
            os.write(2, text.encode())  # not print: the handler may interrupt another print

    take_back_stop()
    known = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    # None: a handler that is not Python's, which could not be put back
    heard = [number for number in known if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, hear) for number in heard}
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
