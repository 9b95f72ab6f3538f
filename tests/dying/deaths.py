"""A command that dies, and the same command again: what both leave is what one leaves that nothing stopped."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.dying.left import left, on_server
from tests.dying.sitecustomize import KINDS, VARIABLE
from tests.dying.started import Started, Starter
from tests.place import make_place


@dataclass(frozen=True)
class Job:
    """A command that may die, where it runs, and what it leaves if nothing stops it."""

    starter: Starter
    command: tuple[str, ...]
    whole: Any
    took_s: float
    folder: Path  # where copies of the place go
    before: Path  # the place as it is before the command
    look: Callable[[Path, str], Any] = left  # what is left in a place, after a command that printed this

    def place(self) -> Path:
        """A fresh place."""
        made = self.folder / f"{random.SystemRandom().getrandbits(40):x}"
        shutil.copytree(self.before, made)
        return made

    def again(self, place: Path, more: Mapping[str, str] = {}) -> Any:  # nobody changes it
        """What is left after the same command, to its end."""
        return self.look(place, self.starter.run(place, *self.command, more=more).out)

    def goes_on(self, place: Path, more: Mapping[str, str] = {}) -> None:  # nobody changes it
        """The same command leaves what one leaves that nothing stopped; then the place is removed."""
        found = self.again(place, more)
        assert found == self.whole, (place, self.command)
        shutil.rmtree(place)


def job(
    starter: Starter,
    folder: Path,
    command: str,
    prepare: Callable[[Path], None] = lambda _: None,
    look: Callable[[Path, str], Any] = left,
) -> Job:
    """Run a command once, uninterrupted, in a folder of its own.

    Args:
        prepare: makes what must be there before.
        look: gives what is left in a place.
    """
    (folder / "before").mkdir(parents=True)
    make_place(folder / "before")
    prepare(folder / "before")
    shutil.copytree(folder / "before", folder / "whole")
    starter.ready()
    started = time.monotonic()
    ended = starter.run(folder / "whole", *command.split())
    took_s = time.monotonic() - started
    whole = look(folder / "whole", ended.out)
    return Job(starter, tuple(command.split()), whole, took_s, folder, folder / "before", look)


def die_at(job: Job, point: str) -> bool:
    """Die at a point, such as ``rename:3:after``; whether the command came there.

    A worker that dies is replaced, and the next one may die there, too: at the third death the work is given up.
    """
    place = job.place()
    died = job.starter.run(place, *job.command, more={VARIABLE: point}, code=None)
    code, by_worker = died.ended(), "exit code -9" in died.err
    assert code in (0, -signal.SIGKILL) or (code in (1, 2) and by_worker), (point, code, died.err)
    if code == 0:
        assert job.look(place, died.out) == job.whole, point
        shutil.rmtree(place)
        return by_worker
    job.goes_on(place)
    return True


def points(kinds: tuple[str, ...] = KINDS) -> Iterator[Iterator[str]]:
    """For each kind of call its points, without an end: the first that is not reached is the last to try."""
    for kind in kinds:
        yield (f"{kind}:{n}{when}" for n in range(1, 10_000) for when in ("", ":after"))


def die_at_random(job: Job, draws: random.Random, *, times: int = 1, url: str | None = None) -> int:
    """Be killed at a random moment, so many times in a row; how often the command was at work then.

    Each later one goes on from what the one before left.

    Args:
        url: of an empty database on a server; None: the commands use a file.
    """
    place, killed = job.place(), 0
    more = on_server(place, url)
    for _ in range(times):
        started = job.starter.start(place, *job.command, more=more)
        time.sleep(draws.uniform(0.02, job.took_s))
        killed += started.ended() is None
        _kill(started, group=draws.random() < 0.5)
    job.goes_on(place, more)
    return killed


def _kill(started: Started, *, group: bool) -> None:
    """Kill the command with its workers, or alone: then these must end by themselves."""
    workers = started.descendants()
    started.send(signal.SIGKILL, group=group)
    started.wait()
    end = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/cmdline").exists() and _alive(pid) for pid in workers):
        assert time.monotonic() < end, "a worker outlives the command that started it"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
