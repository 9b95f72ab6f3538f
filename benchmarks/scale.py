"""Measure the commands that read a whole database, on databases of 2,000 and 10,000 runs: time, memory, length of text.

Each command runs in a child process, in this version and, if its folder is given, in the version before, in turn. The
processor's time and the peak memory are those that the system reports of the child.

Expected before measuring, of 10,000 runs: the leaderboard in 1 s and 300 MB, where reading 140,000 evaluations with
their blocks from SQLite takes 0.4 s, and importing what every leaderboard imports 0.7 s, so that 1 s is not sure; the
list of runs in 2 s; all pairs of 400 rows in 10 s.

    OMP_NUM_THREADS=1 python -m benchmarks.scale                         # about 5 minutes on one core
    OMP_NUM_THREADS=1 python -m benchmarks.scale --before ../checkout    # and as long again for the version before
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
from benchmarks.scale_store import make_store

HERE = Path(__file__).parents[1]
COMMANDS = (
    ("leaderboard",),
    ("leaderboard", "--format", "json"),
    ("leaderboard", "--dataset", "digits"),
    ("runs",),
    ("runs", "--json"),
    ("show", "17"),
    ("show", "17", "--json"),
    ("show", "sat alpha=0.0"),  # a row
    ("show", "digits", "--as", "protocol"),
    ("compare", "sat alpha=0.0", "sat alpha=0.25"),
    ("run", "sat", "--dataset", "digits", "--arch", "smallcnn", "--dry-run"),
)
PAIRS = ("compare", "--all", "--dataset", "digits", "--checkpoint", "last")  # of 2,000 runs: 200 rows, 19,900 pairs


LAUNCH = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(child, 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small process that starts the command: a child's peak begins at its parent's memory, and this one has torch."""


def run_command(checkout: Path, arguments: tuple[str, ...], database: Path) -> dict[str, float]:
    """One run of a command in a child process: seconds, bytes."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "NO_COLOR": "1"}
    with tempfile.NamedTemporaryFile() as out:
        began = time.perf_counter()
        whole = [sys.executable, "-m", "harness", *arguments, "--db", str(database)]
        launched = [sys.executable, "-S", "-c", LAUNCH, *whole]
        told = subprocess.run(launched, env=environment, stdout=out, stderr=subprocess.PIPE, text=True, check=True)
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
    parser.add_argument("--runs", type=int, nargs="*", default=[2_000, 10_000])
    asked = parser.parse_args()
    sides = {"now": HERE} | ({"before": asked.before.resolve()} if asked.before else {})
    device = torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        for runs in asked.runs:
            database = Path(folder) / f"{runs}.db"
            make_store(database, runs)
            for arguments in (*COMMANDS, *([PAIRS] if runs <= 2_000 else [])):
                entry = measured(arguments, database, sides, asked.rounds)
                name = f"{' '.join(arguments)}, {runs} runs"
                head = machine(device, "sqlalchemy", "numpy", "scipy", "rich")
                merge(RESULTS / "scale-cpu.json", {}, {name: {**head, **surroundings(), **entry}})
                now = entry["sides"]["now"]
                peak = now["peak_bytes"]["median"] / 1e6
                print(f"{name}: {now['processor_s']['median']:.2f} s of a processor, {peak:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
