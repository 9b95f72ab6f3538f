"""Measure what a command takes until its first item of work is handed over: 10,000 trainings, or 10,000 blocks.

Each command is a real `harness run` in a child process, whose executor takes the first item and ends. So the time holds
the start of Python, the imports, the plan, and all that is written to the database. `one training` is the same command
with one item: what it takes is no matter of how many items there are, and most of its memory is torch's libraries.

Expected before measuring, of the version before: 10,000 trainings in 100 s and 1 GB, half of it one transaction a run;
10,000 blocks of 100 trained networks in 60 s. Goal: 10 s for the whole command, and 500 MB more than one training has.

    OMP_NUM_THREADS=1 python -m benchmarks.queueing                         # about 3 minutes
    OMP_NUM_THREADS=1 python -m benchmarks.queueing --before ../checkout    # and a round of the version before
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import RESULTS, machine, merge, middle, surroundings
from benchmarks.scale import HERE, LAUNCH
from benchmarks.trained_store import make_trained
from tests import postgres

DIGITS = ("run", "sat", "--dataset", "digits", "--arch", "smallcnn")
CASES = {
    "one training": (*DIGITS, "--seeds", "1"),
    "10,000 trainings": (*DIGITS, "--seeds", "1", "--train-seeds", "10000"),
    "10,000 blocks of 100 networks": (*DIGITS, "--seeds", "99", "--train-seeds", "100", "--attacks", "natural,pgd"),
}
TRAINED = {"10,000 blocks of 100 networks": 100}  # how many networks the store has before
DATABASES = ("SQLite", "PostgreSQL")
SETTINGS = ("max_connections=20", "logging_collector=off", "log_min_messages=fatal")  # what is written is on the disk
CHILD = """
import os, sys
from harness.execution.executors import placement
from harness.execution.executors.executor import Executor

class First(Executor):
    workers = 2
    def run(self, works, listen):
        for work in works:
            if work is not None:
                print("first item:", work.key, flush=True)
                os._exit(0)
        yield from ()

placement.Placement.executor = lambda self, items: First()
from harness.cli.main import main
sys.argv[0] = "harness"
main()
"""


def until_the_first_item(checkout: Path, arguments: tuple[str, ...], database: str, runs: Path) -> dict[str, float]:
    """One command in a child process: seconds, bytes."""
    with tempfile.TemporaryDirectory() as empty:
        environment = os.environ | {"PYTHONPATH": str(checkout), "NO_COLOR": "1", "XDG_CACHE_HOME": empty}
        whole = [sys.executable, "-c", CHILD, *arguments, "--db", database, "--runs-dir", str(runs)]
        began = time.perf_counter()
        launched = [sys.executable, "-S", "-c", LAUNCH, *whole]
        told = subprocess.run(launched, env=environment, cwd=empty, capture_output=True, text=True, check=False)
        wall = time.perf_counter() - began
    if told.returncode or not told.stdout.startswith("first item: "):
        raise RuntimeError(f"no item was handed over: {told.stderr}")
    seconds, kilobytes = map(float, told.stderr.splitlines()[-1].split())
    peak = kilobytes * (1 if sys.platform == "darwin" else 1024)
    return {"wall_s": wall, "processor_s": seconds, "peak_bytes": peak}


class Places:
    """New databases of each kind, empty or with trained networks."""

    def __init__(self, folder: Path, server: postgres.Server) -> None:
        self._folder, self._server = folder, server
        self._made: dict[tuple[str, int], tuple[str, Path]] = {}

    @contextlib.contextmanager
    def new(self, kind: str, trained: int) -> Iterator[tuple[str, Path]]:
        """A database that no command has used, and the folder of its runs."""
        template, runs = self._template(kind, trained)
        with tempfile.TemporaryDirectory(dir=self._folder) as own:
            folder = Path(own) / "runs"
            if trained:
                shutil.copytree(runs, folder)
            if kind == "SQLite":
                file = Path(own) / "store.db"
                shutil.copy(template, file)
                yield str(file), folder
            else:
                name = self._server.create(template)
                yield self._server.url(name), folder
                self._server.drop(name)

    def _template(self, kind: str, trained: int) -> tuple[str, Path]:
        if (kind, trained) not in self._made:
            runs, name = self._folder / f"runs {kind} {trained}", str(self._folder / f"{trained}.db")
            if kind != "SQLite":
                name = self._server.create()
            place = name if kind == "SQLite" else self._server.url(name)
            make_trained(place, runs, trained)
            self._made[kind, trained] = name, runs
        return self._made[kind, trained]


def measured(places: Places, case: str, kind: str, sides: dict[str, Path], rounds: int) -> dict[str, Any]:
    """A case's sides in turn; of the version before there is one round."""
    held: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, checkout in sides.items():
            if name == "now" or number == 0:
                with places.new(kind, TRAINED.get(case, 0)) as (database, runs):
                    held[name].append(until_the_first_item(checkout, CASES[case], database, runs))
    parts = {}
    for name, each in held.items():
        doubled = each if len(each) > 1 else 2 * each  # a single round has no quartiles
        parts[name] = {key: middle([one[key] for one in doubled]) for key in each[0]} | {"rounds": len(each)}
    return {"rounds": rounds, "database": kind, "sides": parts}


def main() -> None:
    """Measure every case, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="a checkout of the version before")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", nargs="*", default=[*CASES], choices=[*CASES])
    parser.add_argument("--databases", nargs="*", default=[*DATABASES], choices=DATABASES)
    asked = parser.parse_args()
    sides = {"now": HERE} | ({"before": asked.before.resolve()} if asked.before else {})
    with postgres.running(SETTINGS) as server, tempfile.TemporaryDirectory() as folder:
        places = Places(Path(folder), server)
        for kind in asked.databases:
            for case in asked.cases:
                entry = measured(places, case, kind, sides, asked.rounds)
                head = machine(torch.device("cpu"), "torch", "sqlalchemy", "psycopg")
                merge(RESULTS / "queueing-cpu.json", {}, {f"{case}: {kind}": {**head, **surroundings(), **entry}})
                for name, side in entry["sides"].items():
                    peak, wall = side["peak_bytes"]["median"] / 1e6, side["wall_s"]["median"]
                    took = f"{wall:.1f} s, {side['processor_s']['median']:.1f} s of a processor"
                    print(f"{case}, {kind}, {name}: {took}, {peak:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
