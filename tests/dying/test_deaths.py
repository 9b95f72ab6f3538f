"""Pull the plug anywhere, type the same command again, and get the same numbers."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dying.deaths import Job, die_at, die_at_random, points
from tests.dying.jobs import JOBS, OTHERS
from tests.dying.left import history, on_server
from tests.dying.sitecustomize import KINDS, VARIABLE
from tests.dying.started import environment
from tests.postgres import PASSWORD, Server

Known = Callable[[str], Job]

CALLS = """
import os, sqlite3, sys
from pathlib import Path
kind = sys.argv[1]
connection = sqlite3.connect("rows.db", isolation_level=None)
connection.execute("CREATE TABLE rows (n)")
Path("0").write_text("")
for n in range(1, 4):
    if kind == "commit":
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"INSERT INTO rows VALUES ({n})")
        connection.commit()
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM rows").fetchall()
        connection.commit()  # nothing was changed: it does not count
    elif kind == "rename":
        Path(str(n - 1)).rename(str(n))
    elif kind == "link":
        os.link("0", str(n))
    elif kind == "unlink":
        Path(str(n)).write_text("")
        Path(str(n)).unlink()
    elif kind == "fsync":
        Path(str(n)).write_text("")
        with open("0") as file:
            os.fsync(file)
        Path(str(n)).rename(f"{n} is synced")
"""


@pytest.mark.parametrize("when", ["", ":after"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_process_dies_at_the_call_that_the_variable_names(kind: str, when: str, tmp_path: Path) -> None:
    def end(point: str | None) -> int:
        more = {VARIABLE: point} if point else {}
        command = [sys.executable, "-c", CALLS, kind]
        return subprocess.run(command, cwd=tmp_path, env=environment(more), check=False).returncode

    assert end(f"{kind}:2{when}") == -9
    names = {path.name for path in tmp_path.iterdir()}
    (tmp_path / "rows.db").unlink()
    made = {"rename": "2", "link": "2"}
    if kind in made:
        assert (made[kind] in names) == (when == ":after")
    if kind == "unlink":
        assert ("2" in names) == (when == "")
    if kind == "fsync":
        assert "2" in names
        assert "1 is synced" in names
    for path in tmp_path.iterdir():
        path.unlink()
    if kind == "commit" and not when:
        assert end("commit:4") == 0  # there are only three


@pytest.mark.parametrize("point", ["commit:20"])
def test_a_death_at_a_point_loses_nothing(point: str, known: Known) -> None:
    assert die_at(known("plain"), point)


def test_a_death_at_a_random_moment_loses_nothing(known: Known, draws: random.Random) -> None:
    die_at_random(known("plain"), draws)


def test_a_run_of_a_dead_process_was_lost_and_then_done(known: Known) -> None:
    job = known("plain")
    place = job.place()
    job.starter.run(place, *job.command, more={VARIABLE: "rename:4"}, code=-9)
    told = job.starter.run(place, "runs", "--state", "lost", "--json").out
    assert '"status": "lost"' in told
    assert "ended without a word" in told
    assert "lost: process" in job.starter.run(place, "show", "1").out
    assert job.again(place) == job.whole
    assert history(place) == ["queued", "running", "queued", "lost", "running", "done"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in JOBS if name != "plain"])
def test_deaths_at_random_moments_lose_nothing(name: str, known: Known, draws: random.Random) -> None:
    for times in (1, 3):
        die_at_random(known(name), draws, times=times)


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("name", ["plain", "wrapped", "workers"])
def test_deaths_at_random_moments_lose_nothing_on_a_server(
    name: str, times: int, known: Known, draws: random.Random, server_url: str
) -> None:
    die_at_random(known(name), draws, times=times, url=server_url)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "workers"])
def test_a_server_that_goes_away_ends_a_command_in_one_line(
    name: str, known: Known, draws: random.Random, own_server: Server
) -> None:
    job, url = known(name), own_server.url(own_server.create())
    place = job.place()
    more = on_server(place, url)
    started = job.starter.start(place, *job.command, more=more)
    time.sleep(draws.uniform(0.1, job.took_s))
    own_server.stop()
    code = started.wait()
    own_server.start()
    assert code in (0, 2), started.err  # 0: it had done all
    if code == 2:
        told = [line for line in started.err.splitlines() if line.startswith("harness: ")]
        assert len(told) == 1, started.err
        assert "then run the same command again: what was stored is kept" in told[0]
    assert "Traceback" not in started.err
    assert PASSWORD not in started.err
    job.goes_on(place, more)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "wrapped", "autoattack", "workers"])
def test_every_seventh_point_loses_nothing(name: str, known: Known) -> None:
    for each in points(("fsync", "rename", "commit")):
        for number, point in enumerate(each):
            if number % 7 == 3 and not die_at(known(name), point):
                break


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_every_point_of_what_changes_a_database_or_writes_files(name: str, known: Known) -> None:
    for each in points():
        for point in each:
            if not die_at(known(name), point):
                break
