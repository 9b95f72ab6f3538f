"""A command that gets a signal: it ends with the code that a shell has for it, says how to go on, and loses nothing."""

from __future__ import annotations

import random
import shutil
import signal
import time

from tests.dying.deaths import Job
from tests.dying.left import left
from tests.dying.started import Started

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
GO_ON = "what was done is kept: run the same command to go on from there"


def last_line(number: int) -> str:
    """What the command says at its end."""
    by = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
    return f"harness: stopped{by}; {GO_ON}"


def stopped_well(started: Started, number: int, patience_s: float = 60.0) -> bool:
    """Whether a command that got a signal was stopped by it, as it must be; False: its work was done before."""
    code = started.wait(patience_s)
    assert "Traceback" not in started.err, started.err
    if code == 0 or (code == -number and started.out):  # all was done and printed
        return False
    if code == -number and not started.err:  # in the first moments of Python, before there is anybody to hear
        return True
    assert code == 128 + number, (code, started.err)
    assert started.err.splitlines()[-1] == last_line(number), started.err
    return True


def signal_at_random(job: Job, draws: random.Random, number: int, *, group: bool = False, fresh: bool = False) -> bool:
    """Send a signal at a random moment, then run the same command again; whether the command was at work then.

    Args:
        group: send it to the workers, too, as a terminal and some schedulers do.
        fresh: a new process of the installed program, which also imports.
    """
    place = job.place()
    started = job.starter.start(place, *job.command, fresh=fresh)
    time.sleep(draws.uniform(0.05, job.took_s + 4 * fresh))
    started.send(number, group=group)
    was_stopped = stopped_well(started, number)
    if not was_stopped:
        assert left(place, started.out) == job.whole
        shutil.rmtree(place)
        return False
    job.goes_on(place)
    return True
