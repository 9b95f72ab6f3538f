"""Measure what an item of work costs beside its own work, in this process, in two others, and on a Ray cluster.

The same attack without steps goes over the same 360 images, in 12 blocks and in 180. The difference, of 168 items, is
the cost of an item: its way to a worker and back, and its row in the database. The networks are trained before.

Expected before measuring: 15 ms in this process, most of it the transaction that stores the verdicts and the two of the
lease; 17 ms with two processes; 30 ms on a cluster, as the item is packed, scheduled, and answered.

    OMP_NUM_THREADS=1 python -m benchmarks.item_cost    # about 8 minutes on two cores
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.measuring import RESULTS, machine, merge, middle, surroundings
from benchmarks.scale import HERE
from benchmarks.trained_store import make_trained
from tests.cluster.machines import machines

IMAGES, FEW, MANY = 360, 12, 180
COMMAND = ("run", "sat", "--dataset", "digits", "--arch", "smallcnn", "--attacks", "natural", "--no-checks", "--quiet")


def seconds_of(template: Path, options: tuple[str, ...], blocks: int) -> float:
    """One command over so many blocks, with a copy of the store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(template / "store.db", folder)
        shutil.copytree(template / "runs", folder / "runs")
        environment = os.environ | {"PYTHONPATH": str(HERE), "NO_COLOR": "1", "XDG_CACHE_HOME": name}
        size = f"evaluation.block_size={IMAGES // blocks}"
        whole = [sys.executable, "-m", "harness", *COMMAND, "--set", size, *options, "--db", "store.db"]
        began = time.perf_counter()
        subprocess.run([*whole, "--runs-dir", "runs"], env=environment, cwd=folder, capture_output=True, check=True)
        return time.perf_counter() - began


def main() -> None:
    """Measure the ways in turn, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    head = machine(torch.device("cpu"), "torch", "sqlalchemy", "ray") | surroundings()
    with tempfile.TemporaryDirectory() as name, machines(Path(name)) as cluster:
        cluster.add(num_cpus=2)
        template = Path(name)
        make_trained(str(template / "store.db"), template / "runs", 1)
        ways = {
            "this process": ("--workers", "1"),
            "two processes": ("--workers", "2"),
            "a Ray cluster of two cores": ("--executor", "ray", "--ray-address", cluster.address),
        }
        costs: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(rounds):
            for way in (*ways,)[:: 1 if number % 2 else -1]:
                few, many = (seconds_of(template, ways[way], blocks) for blocks in (FEW, MANY))
                costs[way].append(1000 * (many - few) / (MANY - FEW))
                print(f"round {number + 1}, {way}: {costs[way][-1]:.1f} ms ({few:.1f} s, {many:.1f} s)", flush=True)
    cases = {way: {**head, "rounds": rounds, "ms": {**middle(each), "each": each}} for way, each in costs.items()}
    merge(RESULTS / "item_cost-cpu.json", {}, cases)


if __name__ == "__main__":
    main()
