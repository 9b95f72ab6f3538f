"""A command that stands still for longer than its lease; another does its work; it wakes, and writes nothing more."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import sqlite3
import time
from pathlib import Path

from harness.store.connecting import engine_on
from harness.store.database import locate
from tests.dying.deaths import Job
from tests.dying.left import DATABASE, content, left, on_server, results
from tests.dying.started import Started

LEASE_S = 1
SETTING = {"HARNESS_LEASE_S": str(LEASE_S)}


def freeze(job: Job, draws: random.Random, whom: str = "group", url: str | None = None) -> str | None:
    """Freeze a command at a random moment, have another finish, and let the first go on.

    Args:
        url: of a database on a server; None: the commands use a file.
        whom: the whole ``group`` of processes; the ``parent`` alone, whose workers go on; or the first ``worker``.
    Returns:
        What the first one said in the end; None if it had ended before that moment.
    """
    place = job.place()
    setting = SETTING | on_server(place, url)
    first = job.starter.start(place, *job.command, more=setting)
    time.sleep(draws.uniform(0.05, job.took_s))
    if not _stands_still(first, place, whom, url):
        shutil.rmtree(place)
        return None
    second = job.starter.start(place, *job.command, more=setting)
    if whom == "worker":  # its parent keeps the lease: the second one waits for it
        time.sleep(2 * LEASE_S)
        _go_on(first, whom)
    assert second.wait() == 0, second.err
    before, logs = content(place), _logs(place)
    _go_on(first, whom)
    assert first.wait() == 0, first.err
    after = content(place)
    # what it had begun may say so in the log, before it looks whether the work is still its own
    before, after = ({k: v for k, v in each.items() if not k.endswith("log.txt")} for each in (before, after))
    assert all(_logs(place)[file].startswith(text) for file, text in logs.items())
    if whom != "worker":
        assert after == before, [key for key in before | after if before.get(key) != after.get(key)]
    assert results(place) == job.whole[0]
    assert left(place, second.out) == left(place, first.out) == job.whole
    assert "Traceback" not in first.err + second.err
    shutil.rmtree(place)
    return first.err


def _logs(place: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in place.rglob("log.txt")}


def _stands_still(started: Started, place: Path, whom: str, url: str | None) -> bool:
    """Stop processes where they hold no lock on the database: one that does stops all others, who can only wait."""
    for _ in range(1000):
        if started.ended() is not None:
            return False
        _send(started, signal.SIGSTOP, whom)
        time.sleep(0.02)  # until they have stopped
        if _is_free_on_server(url) if url else _is_free(place / DATABASE):
            return started.ended() is None
        _send(started, signal.SIGCONT, whom)
        time.sleep(0.005)
    raise AssertionError("the database is always locked")


def _go_on(started: Started, whom: str) -> None:
    _send(started, signal.SIGCONT, whom)


def _send(started: Started, number: int, whom: str) -> None:
    if whom == "worker":
        for pid in started.workers()[:1]:
            Started(pid, started.notes).send(number)
    else:
        started.send(number, group=whom == "group")


def _is_free_on_server(url: str) -> bool:
    engine = engine_on(locate(url), "the server")
    with engine.connect() as connection:
        held = connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").scalar()
    engine.dispose()
    return held == 0


def _is_free(database: Path) -> bool:
    if not database.exists():
        return True
    with contextlib.closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True
