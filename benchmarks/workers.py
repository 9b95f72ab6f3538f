"""Measure how long several processes take for the work of one: 40 trainings on the digits, and their attacks.

Each side is a real `harness run` in a child process, with a new store; the sides run in turn. Its time holds all: the
start, the plan, the imports of each worker, and the leaderboard. A side is a name and the options of its command, so
that another way to place the work is one more line in ``SIDES``.

Expected before measuring, on two cores: two workers are 1.85 times as fast. A worker starts in 3 s, in which the other
side works already; and the parent takes a few percent of a core to store results. Goal: 1.8 times.

    OMP_NUM_THREADS=1 python -m benchmarks.workers      # about 10 minutes on two cores
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

from benchmarks.measuring import RESULTS, compared, machine, merge, surroundings
from benchmarks.scale import HERE

RUNS = 40
COMMAND = (
    *("run", "sat", "--dataset", "digits", "--arch", "smallcnn", "--train-seeds", str(RUNS), "--seeds", "1"),
    *("--set", "train.epochs=5", "--attacks", "natural,pgd", "--quiet"),
)
BASE = "one process"
SIDES: dict[str, tuple[str, ...]] = {BASE: ("--workers", "1"), "two processes": ("--workers", "2")}


def run_side(options: tuple[str, ...]) -> float:
    """Seconds of one command with a new store."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPATH": str(HERE), "NO_COLOR": "1", "XDG_CACHE_HOME": folder}
        places = ("--db", f"{folder}/store.db", "--runs-dir", f"{folder}/runs")
        whole = [sys.executable, "-m", "harness", *COMMAND, *options, *places]
        began = time.perf_counter()
        told = subprocess.run(whole, env=environment, cwd=folder, capture_output=True, text=True, check=True)
        took = time.perf_counter() - began
        made = len(list(Path(folder, "runs").glob("*/*/last.safetensors"))) + len(
            list(Path(folder, "runs").glob("*/last.safetensors"))
        )
    if made != RUNS:
        raise RuntimeError(f"{made} of {RUNS} networks were trained: {told.stderr}")
    return took


def measured(names: list[str], rounds: int) -> dict[str, Any]:
    """The sides in turn; which is first rotates."""
    held: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            held[name].append(run_side(SIDES[name]))
            print(f"round {number + 1}, {name}: {held[name][-1]:.1f} s", flush=True)
    return compared(held, BASE)


def main() -> None:
    """Measure the sides, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", nargs="*", default=[*SIDES], choices=[*SIDES])
    asked = parser.parse_args()
    names = [name for name in SIDES if name == BASE or name in asked.sides]
    before = surroundings()  # the load that is not of the benchmark
    entry = measured(names, asked.rounds)
    head = machine(torch.device("cpu"), "torch", "sqlalchemy")
    title = f"{RUNS} runs of sat, 5 epochs, with natural and pgd"
    merge(RESULTS / "workers-cpu.json", {}, {title: {**head, **before, **entry}})


if __name__ == "__main__":
    main()
