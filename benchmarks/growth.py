"""Measure how time grows with images, steps, attacks, and seeds, and whether peak memory depends on the images.

An evaluation of smallcnn on random images shaped like the digits, block by block, each block judged by the evaluator as
a worker does it. One quantity grows at a time, the others stay:

    images    500 to 4,000 in blocks of 500, PGD with 20 steps, one seed
    steps     20 to 160, 500 images
    attacks   1 to 8 (PGD and CW in turn), 500 images
    seeds     1 to 8, 500 images

The exponent is the slope of a straight line through log(time) against log(size), by least squares over all
measurements, with a 95 % t-interval. Sizes are measured in turn, round after round, so that other work on the machine
disturbs all of them.

Expected before measuring: exponents of 1.00 +- 0.03. A little less for the steps, since K steps cost 2 K + 1 passes and
the evaluator makes a few passes besides. The peak memory of an evaluation beyond the data set itself, each size in a
process of its own, does not depend on the number of images: 16 times as many add less than 5 %.

    OMP_NUM_THREADS=1 python -m benchmarks.growth          # about 5 minutes on one core; needs matplotlib for the plot
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from scipy import stats

from benchmarks.growth_plot import draw
from benchmarks.measuring import RESULTS, in_turn, machine, middle, peak_memory, reset_peak, surroundings
from benchmarks.ours import SETTINGS, in_blocks
from harness.runtime.allocator import keep_freed_memory
from harness.runtime.device import resolve_device

FIGURE = Path(__file__).parent.parent / "docs" / "figures" / "growth.svg"
BLOCK = 500
SIZES = {
    "images": (500, 1000, 2000, 4000),
    "steps": (20, 40, 80, 160),
    "attacks": (1, 2, 4, 8),
    "seeds": (1, 2, 4, 8),
}
MEMORY_IMAGES = (500, 2000, 8000)
EXPECTED = {"exponent": 1.0, "within": 0.03, "memory_within": 0.05}


def evaluation(what: str, size: int, device: torch.device) -> int:
    """An evaluation in which one quantity has this size; gives how many verdicts are right."""
    setting = SETTINGS["smallcnn"]
    model = setting.model(device).eval()
    x, y = setting.examples(size if what == "images" else BLOCK, device)
    attacks = [("pgd", "cw")[i % 2] for i in range(size if what == "attacks" else 1)]
    seeds, steps = size if what == "seeds" else 1, size if what == "steps" else None
    return in_blocks(model, attacks, x, y, setting.evaluation_threat, BLOCK, seeds=seeds, steps=steps)


def fitted(times: Mapping[int, Sequence[float]]) -> dict[str, Any]:
    """The exponent of time ~ size^exponent, and its 95 % t-interval, over all measurements."""
    points = [(math.log(size), math.log(value)) for size, values in times.items() for value in values]
    line = stats.linregress([x for x, _ in points], [y for _, y in points])
    margin = float(stats.t.ppf(0.975, len(points) - 2) * line.stderr)
    slope = float(line.slope)
    return {"exponent": slope, "interval95": [slope - margin, slope + margin], "points": len(points)}


def grown(what: str, device: torch.device, rounds: int, seconds: float) -> dict[str, Any]:
    """Times of every size, and the exponent."""
    sides = {str(size): partial(evaluation, what, size, device) for size in SIZES[what]}
    name, found = in_turn(sides, device, rounds, seconds)
    times = {int(size): values for size, values in found.items()}
    return {
        "clock": name,
        "rounds": len(times[SIZES[what][0]]),
        "seconds": {size: {**middle(values), "each": list(values)} for size, values in times.items()},
        **fitted(times),
    }


def peak(images: int, device: str) -> int:
    """Peak memory of an evaluation beyond what was in use before, in bytes; to be called in a process of its own."""
    torch.set_num_threads(1)
    where, setting = torch.device(device), SETTINGS["smallcnn"]
    if where.type == "cpu":
        keep_freed_memory()
    model = setting.model(where).eval()
    x, y = setting.examples(images, where)
    in_blocks(model, ["pgd"], x[:2], y[:2], setting.evaluation_threat, BLOCK)  # what torch sets up at its first pass
    before = reset_peak(where)
    in_blocks(model, ["pgd"], x, y, setting.evaluation_threat, BLOCK)
    return peak_memory(where) - before


def memory(device: torch.device, repeats: int = 7) -> dict[str, Any]:
    """Peak memory for each number of images: median and quartiles over processes."""
    found: dict[int, list[int]] = {images: [] for images in MEMORY_IMAGES}
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        for _ in range(repeats):
            for images, peaks in found.items():
                peaks.append(processes.submit(peak, images, str(device)).result())
    return {str(images): {**middle(peaks), "each": peaks} for images, peaks in found.items()}


def main() -> None:
    """Measure, print, draw, and write ``results/growth-DEVICE.json``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="at most so many rounds of each quantity")
    parser.add_argument("--minutes", type=float, default=8.0, help="for all; each quantity makes three rounds at least")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, or cuda:0")
    parser.add_argument("--out", type=Path, help="the file to write")
    parser.add_argument("--figure", type=Path, default=FIGURE, help="the plot to write")
    chosen = parser.parse_args()
    device = resolve_device(chosen.device)
    if device.type == "cpu":
        keep_freed_memory()
    ends = time.perf_counter() + 60 * chosen.minutes
    found: dict[str, Any] = {"benchmark": "growth", "block": BLOCK, "expected": EXPECTED}
    found |= {**machine(device, "torch", "scipy"), **surroundings(), "memory_bytes": memory(device), "growth": {}}
    file: Path = chosen.out or RESULTS / f"growth-{device.type}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    for number, what in enumerate(SIZES):
        seconds = (ends - time.perf_counter()) / (len(SIZES) - number)
        found["growth"][what] = fit = grown(what, device, chosen.rounds, seconds)
        file.write_text(json.dumps(found, indent=1) + "\n")  # a call that is cut short keeps what it measured
        low, high = fit["interval95"]
        print(
            f"{what}: exponent {fit['exponent']:.3f} (95 % {low:.3f} to {high:.3f}), {fit['rounds']} rounds", flush=True
        )
    print({images: f"{peaks['median'] / 1e6:.1f} MB" for images, peaks in found["memory_bytes"].items()}, file)
    if find_spec("matplotlib") is None:
        print("no plot: matplotlib is not installed (pip install -e '.[bench]')", file=sys.stderr)
    else:
        draw(json.loads(file.read_text()), chosen.figure)


if __name__ == "__main__":
    main()
