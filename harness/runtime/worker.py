"""Who works: this process, named so that another process on the same machine can tell whether it is still there."""

from __future__ import annotations

import getpass
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.runtime.provenance import host

_NUMBER = re.compile(r"[1-9][0-9]{0,18}")  # of a process; the database may be from elsewhere


@dataclass(frozen=True)
class Worker:
    """A process that works.

    Attributes:
        host: the machine's name, or ``HARNESS_HOST``.
        process: the process's number; on Linux also the clock tick of its start, the machine's boot, and the namespace
            of process numbers, since a number alone is given again: ``4711 since 8812 in 5f0c1d2e 4026531836``.
        user: who started it; empty if the system does not know.
    """

    host: str
    process: str
    user: str = ""

    @property
    def title(self) -> str:
        """What messages call it, such as ``process 4711 on gpu3``."""
        return f"process {self.process.partition(' ')[0]} on {self.host}"


@cache
def _machine() -> str:
    """The present boot of this machine and its namespace of process numbers; empty if the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(number: int) -> str | None:
    """The clock tick at which a process started; None if it has ended, and waits for its parent to see that.

    Raises:
        OSError: there is no process of that number, or the system hides it.
    """
    # the name, in brackets, may hold spaces and brackets; the state is the first field after it, the start the 20th
    fields = Path(f"/proc/{number}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _is_free(number: int) -> bool:
    """Whether no process has a number. Signal 0 reaches none, and tells also of a process that ``/proc`` hides."""
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # it is another user's
        return False
    return False


def this_worker() -> Worker:
    """The process that asks."""
    number = os.getpid()
    machine = _machine()
    try:
        started = _started(number)
    except OSError:
        started = None
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user number without a name
        user = ""
    return Worker(host(), f"{number} since {started} in {machine}" if started and machine else str(number), user)


def is_dead(worker: Worker) -> bool:
    """Whether a process has ended for certain; of a process on another machine, nothing is certain.

    Where ``/proc`` hides the processes of other users (``hidepid``), such a process is dead only when no process has
    its number.
    """
    number, _, rest = worker.process.partition(" since ")
    started, _, machine = rest.partition(" in ")
    if not machine or machine != _machine() or not _NUMBER.fullmatch(number):
        return False
    try:
        return _started(int(number)) != started
    except OSError:
        return _is_free(int(number))
