"""Who works: this process, named so that another process on the same machine can tell whether it is still there."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.runtime.provenance import host


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
    """The clock tick at which a process started; None if there is none of that number, or it has ended."""
    try:
        # the name, in brackets, may hold spaces and brackets; the state is the first field after it, the start the 20th
        fields = Path(f"/proc/{number}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def this_worker() -> Worker:
    """The process that asks."""
    number = os.getpid()
    started, machine = _started(number), _machine()
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user number without a name
        user = ""
    return Worker(host(), f"{number} since {started} in {machine}" if started and machine else str(number), user)


def is_dead(worker: Worker) -> bool:
    """Whether a process has ended for certain; of a process on another machine, nothing is certain."""
    number, since, rest = worker.process.partition(" since ")
    started, _, machine = rest.partition(" in ")
    if not since or machine != _machine() or not number.isdecimal():
        return False
    return _started(int(number)) != started
