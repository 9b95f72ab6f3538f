"""The commands that tests kill: trainings, attacks, and what changes a database or writes files."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.dying.deaths import Job, job
from tests.dying.left import DATABASE, left, results, unfinished
from tests.dying.started import ROOT, Starter
from tests.first_board import FIRST_BOARD

ASSETS = ROOT / "tests" / "assets"
TRAIN = (
    "run sat --dataset digits --arch smallcnn --set width=4 --set train.steps=1 --protocol mine.toml --epochs 3"
    " --limit 40 --seeds 1 --no-checks --json"
)
JOBS = {
    "plain": f"{TRAIN} --workers 1",
    "wrapped": f"{TRAIN} --workers 1 --wrap awp --wrap ema --state-every 0.001",
    "autoattack": f"{TRAIN} --workers 1 --attacks natural,autoattack --limit 6 --epochs 1",
    "workers": f"{TRAIN} --workers 2 --train-seeds 2 --epochs 2",
    "checks": TRAIN.replace("--no-checks", "--checks --workers 1 --epochs 2"),
}
EVALUATE = "evaluate 1 --attacks fgsm,pgd --seeds 2 --limit 40 --no-checks --json --workers 1"
OTHERS = {
    "evaluate": EVALUATE,
    "upgrade": "db upgrade",
    "merge": "db merge theirs.db --json",
    "export": "leaderboard --out board.tex --bibtex",
}


def find_job(name: str, starter: Starter, folder: Path) -> Job:
    """A job by its name, done once in a folder of its own."""
    if name in JOBS:
        return job(starter, folder, JOBS[name])
    prepare, look = _PREPARED[name]
    return job(starter, folder, OTHERS[name], lambda place: prepare(place, starter), look)


def _trained(place: Path, starter: Starter) -> None:
    starter.run(place, *JOBS["plain"].split())


def _of_the_oldest_schema(place: Path, _: Starter) -> None:
    shutil.copy(ASSETS / "schema-0001.db", place / DATABASE)


def _with_theirs(place: Path, starter: Starter) -> None:
    _trained(place, starter)
    shutil.move(place / DATABASE, place / "theirs.db")
    starter.run(place, "leaderboard")
    shutil.copy(ASSETS / "schema-0006.db", place / DATABASE)
    starter.run(place, "db", "upgrade", "--no-backup")


def _published(place: Path, _: Starter) -> None:
    shutil.copy(FIRST_BOARD, place / DATABASE)


def _rows(place: Path, _printed: str) -> Any:
    """Every row, and the hash of every other file."""
    assert list(unfinished(place)) == []
    with contextlib.closing(sqlite3.connect(place / DATABASE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = [line for line in connection.iterdump() if line.startswith("INSERT")]  # a rebuilt table's rules vary
    files = {path.name: path for path in place.rglob("*") if path.is_file() and path.name != DATABASE}
    return rows, {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(files.items())}


def _merged(place: Path, _printed: str) -> Any:
    assert list(unfinished(place)) == []
    return results(place)


_PREPARED: dict[str, tuple[Callable[[Path, Starter], None], Callable[[Path, str], Any]]] = {
    "evaluate": (_trained, left),
    "upgrade": (_of_the_oldest_schema, _rows),
    "merge": (_with_theirs, _merged),
    "export": (_published, _rows),
}
