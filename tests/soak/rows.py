"""The rows of the table: what is tried, how often, and what share of the time each may take."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.dying.deaths import Job, die_at, die_at_random, points
from tests.dying.frozen import freeze
from tests.dying.jobs import JOBS, OTHERS, find_job
from tests.dying.signalled import SIGNALS, signal_at_random
from tests.dying.started import ROOT, Starter, environment
from tests.soak.contended import WRITERS, WRITES, contend


@dataclass
class Bench:
    """What a row works with: a starter, a folder, its seed, and when its time is over."""

    starter: Starter
    folder: Path
    seed: str
    ends: float
    jobs: dict[str, Job] = field(default_factory=dict)  # shared by all rows

    def job(self, name: str) -> Job:
        if name not in self.jobs:
            folder = self.folder / name
            folder.mkdir(parents=True)
            self.jobs[name] = find_job(name, self.starter, folder)
        return self.jobs[name]

    def draws(self, number: int) -> random.Random:
        """The random numbers of one try: it can be repeated alone."""
        return random.Random(f"{self.seed} {number}")

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.ends


class Count(NamedTuple):
    """How many were good, of how many; 0 of 0 where the command had ended before the moment came.

    Attributes:
        cut: whether the time was over before all was tried.
    """

    good: int
    of: int
    cut: bool = False


Tries = Iterator[tuple[str, Callable[[], Count]]]
"""What is tried next, and the try, which raises AssertionError if it fails."""


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        share: of the whole time.
        tries: gives the tries, until the bench's time is over.
    """

    title: str
    share: float
    tries: Callable[[Bench], Tries]


def _once(came: bool) -> Count:
    return Count(1, 1) if came else Count(0, 0)


def _killed(bench: Bench, most: int = 200) -> Tries:
    for number in range(most):
        draws = bench.draws(number)
        name, times = draws.choice([*JOBS, "plain", "evaluate"]), draws.choice((1, 1, 2))
        job = bench.job(name)
        yield f"{name}, try {number}", lambda: _once(die_at_random(job, draws, times=times) > 0)  # noqa: B023


def _points(bench: Bench) -> Tries:
    """Every point of the small jobs in turn: a run that is cut short has seen some of each."""
    left = [(name, each) for name in ("plain", *OTHERS, "wrapped", "autoattack") for each in points()]
    while left:
        for name, each in list(left):
            point, reached = next(each), [True]
            job = bench.job(name)

            def die(job: Job = job, point: str = point, reached: list[bool] = reached) -> Count:
                reached[0] = die_at(job, point)
                return _once(reached[0])

            yield f"{name} at {point}", die
            if not reached[0]:
                left.remove((name, each))


def _signalled(bench: Bench, most: int = 100) -> Tries:
    for number in range(most):
        draws = bench.draws(number)
        name, which = draws.choice([*JOBS, "evaluate"]), draws.choice((*SIGNALS, signal.SIGINT))
        how = {"group": draws.random() < 0.5, "fresh": which != signal.SIGINT and draws.random() < 0.2}
        tried, job = f"{signal.Signals(which).name} to {name}, try {number}", bench.job(name)
        yield tried, lambda: _once(signal_at_random(job, draws, which, **how))  # noqa: B023


def _frozen(bench: Bench, most: int = 50) -> Tries:
    for number in range(most):
        draws = bench.draws(number)
        name = draws.choice(("plain", "wrapped", "autoattack", "workers"))
        whom = draws.choice(("group", "parent", "worker")) if name == "workers" else "group"
        job = bench.job(name)
        yield f"{whom} of {name}, try {number}", lambda: _once(freeze(job, draws, whom) is not None)  # noqa: B023


def _contended(bench: Bench) -> Tries:
    yield "all writers", lambda: Count(contend(bench.folder), WRITERS * WRITES)


def _pytest(*names: str) -> Callable[[Bench], Tries]:
    """Tests that measure the row already, called as a user calls them."""

    def call(patience_s: float) -> Count:
        command = [sys.executable, "-m", "pytest", "-v", "-n", "0", "-m", "not browser", "-p", "no:cacheprovider"]
        started = subprocess.Popen([*command, *names], cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
        cut = threading.Timer(patience_s, started.kill)
        cut.start()
        told, _ = started.communicate()
        cut.cancel()
        ends = Counter(re.findall(r"^\S+::.* (PASSED|FAILED|ERROR) ", told, re.MULTILINE))
        if started.returncode not in (0, -signal.SIGKILL):
            print(told[-3000:], flush=True)
        return Count(ends["PASSED"], ends.total(), started.returncode == -signal.SIGKILL)

    def tries(bench: Bench) -> Tries:
        yield " ".join(names), lambda: call(max(60.0, bench.ends - time.monotonic()))

    return tries


_STORE, _CLI = "tests/harness/store", "tests/cli"
_OF_A_SERVER = ("writers", "failures")
ROWS = {
    "killed": Row("kill -9 at a random moment", 0.2, _killed),
    "points": Row("death before and after each commit, fsync, rename, link, unlink", 0.2, _points),
    "signals": Row("SIGTERM, SIGHUP, SIGUSR1, Ctrl-C at a random moment", 0.12, _signalled),
    "frozen": Row("frozen past its lease", 0.15, _frozen),
    "side-by-side": Row("identical and different commands at once", 0.06, _pytest("tests/dying/test_side_by_side.py")),
    "contended": Row(f"contended writes, {WRITERS} x {WRITES}", 0.05, _contended),
    "shared": Row("eight drivers share 800 items", 0.03, _pytest("tests/harness/execution/test_drivers.py")),
    "server": Row(
        "a server's locks and failures", 0.02, _pytest(*(f"{_STORE}/test_server_{it}.py" for it in _OF_A_SERVER))
    ),
    "readers": Row("readers beside killed writers; locks", 0.04, _pytest(f"{_STORE}/test_locks.py")),
    "full": Row(
        "full disks", 0.02, _pytest(f"{_CLI}/test_system_errors.py", f"{_STORE}/test_failures.py::TestFullDisk")
    ),
    "states": Row("damaged states, flipped bits", 0.02, _pytest("tests/harness/training/test_state_file.py")),
    "pages": Row("damaged pages of a database x reads", 0.05, _pytest(f"{_STORE}/test_failures.py::TestDamage")),
    "urls": Row(
        "addresses with passwords", 0.02, _pytest("tests/harness/test_locations.py", f"{_CLI}/test_passwords.py")
    ),
    "labels": Row(
        "hostile labels and rows",
        0.02,
        _pytest(
            "tests/harness/leaderboard/test_hostile_labels.py",
            f"{_STORE}/test_typed.py",
            f"{_CLI}/test_foreign_database.py",
        ),
    ),
}
