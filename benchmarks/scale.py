"""Measure the commands that read a whole database, on databases of thousands of runs: time, memory, length of text.

Each command runs in a child process, in this version and, if its folder is given, in the version before, in turn. The
processor's time and the peak memory are those that the system reports of the child. Every child has an empty cache
folder, but for ``leaderboard, again``, which shows the page that the same command has kept.

Expected before measuring, of 10,000 runs of 4 evaluations: the leaderboard in 1.5 s (0.8 s are Python, SQLAlchemy and
scipy) and 170 MB, and again in 0.3 s; of 14 evaluations in 5 s and 300 MB; one run shown in 1 s; all pairs of 400 rows
in 10 s.

    OMP_NUM_THREADS=1 python -m benchmarks.scale                         # about 6 minutes on one core
    OMP_NUM_THREADS=1 python -m benchmarks.scale --before ../checkout    # and 8 more for the version before
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import RESULTS, compared, machine, merge, middle, surroundings
from benchmarks.scale_store import FULL, LIGHT, make_store

HERE = Path(__file__).parents[1]
COMMANDS = (
    ("leaderboard",),
    ("leaderboard", "--format", "json"),
    ("runs",),
    ("show", "17"),
    ("show", "sat alpha=0.0"),  # a row
    ("show", "digits", "--as", "protocol"),
    ("compare", "sat alpha=0.0", "sat alpha=0.25"),
    ("run", "sat", "--dataset", "digits", "--arch", "smallcnn", "--dry-run"),
)
PAIRS = ("compare", "--all", "--dataset", "digits", "--checkpoint", "last")  # of 2,000 runs: 200 rows, 19,900 pairs
AGAIN = ("leaderboard, again",)
STORES = {
    "2,000 runs of 14 evaluations": (2_000, FULL),
    "10,000 runs of 4 evaluations": (10_000, LIGHT),
    "10,000 runs of 14 evaluations": (10_000, FULL),
}
NOT_BEFORE = "10,000 runs of 14 evaluations"  # the version before would take an hour
BESIDE = (("leaderboard",), ("runs",), ("show", "17"), PAIRS)  # what the version before does, too


LAUNCH = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(child, 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small process that starts the command: a child's peak begins at its parent's memory, and this one has torch."""


def run_command(checkout: Path, arguments: tuple[str, ...], database: Path | str) -> dict[str, float]:
    """One run of a command in a child process: seconds, bytes."""
    with tempfile.NamedTemporaryFile() as out, tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"PYTHONPATH": str(checkout), "NO_COLOR": "1", "XDG_CACHE_HOME": cache}
        if arguments == AGAIN:
            arguments = ("leaderboard",)
            first = [sys.executable, "-m", "harness", *arguments, "--db", str(database)]
            subprocess.run(first, env=environment, cwd=checkout, stdout=subprocess.DEVNULL, check=True)
        began = time.perf_counter()
        whole = [sys.executable, "-m", "harness", *arguments, "--db", str(database)]
        launched = [sys.executable, "-S", "-c", LAUNCH, *whole]
        streams: dict[str, Any] = {"stdout": out, "stderr": subprocess.PIPE, "text": True}
        told = subprocess.run(launched, env=environment, cwd=checkout, check=True, **streams)  # -m looks there first
        wall = time.perf_counter() - began
        length = float(Path(out.name).stat().st_size)
    seconds, kilobytes = map(float, told.stderr.splitlines()[-1].split())
    peak = kilobytes * (1 if sys.platform == "darwin" else 1024)
    return {"wall_s": wall, "processor_s": seconds, "peak_bytes": peak, "text_bytes": length}


def measured(arguments: tuple[str, ...], database: Path, sides: dict[str, Path], rounds: int) -> dict[str, Any]:
    """A command's sides in turn; the ratios are of processor times, to this version."""
    held: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, checkout in sides.items():
            held[name].append(run_command(checkout, arguments, database))
    parts = {name: {key: middle([one[key] for one in of_side]) for key in of_side[0]} for name, of_side in held.items()}
    times = {name: [one["processor_s"] for one in of_side] for name, of_side in held.items()}
    return {"rounds": rounds, "sides": parts, **compared(times, "now")}


def main() -> None:
    """Make the databases, measure every command, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="a checkout of the version before")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stores", nargs="*", default=[*STORES], choices=[*STORES])
    asked = parser.parse_args()
    before = {"before": asked.before.resolve()} if asked.before else {}
    device = torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.stores:
            runs, shape = STORES[name]
            database = Path(folder) / "store.db"
            make_store(database, runs, shape)
            for arguments in (*COMMANDS, *([PAIRS] if runs <= 2_000 else [AGAIN])):
                sides = {"now": HERE} | (before if name != NOT_BEFORE and arguments in BESIDE else {})
                entry = measured(arguments, database, sides, asked.rounds)
                title = f"{' '.join(arguments)}: {name}"
                head = machine(device, "sqlalchemy", "numpy", "scipy", "rich")
                merge(RESULTS / "scale-cpu.json", {}, {title: {**head, **surroundings(), **entry}})
                now = entry["sides"]["now"]
                peak = now["peak_bytes"]["median"] / 1e6
                took = f"{now['processor_s']['median']:.2f} s of a processor, {now['wall_s']['median']:.2f} s"
                print(f"{title}: {took}, {peak:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
