"""Measure AutoAttack, whole: a plain call of its authors' package, and harness's evaluator as commands use it.

    package          ``pyautoattack.AutoAttack(...).run_standard_evaluation`` on the block as one batch
    package, kept    the same, with the C library's allocator set as harness sets it: it keeps freed memory
    harness          ``harness.evaluator.evaluate`` with faster layers; freed memory is kept

Each measurement runs in its own process with one thread, since the allocator's setting holds for a process. The sides
take turns, and so does which is first. Ratios are package / side, of each round, in processor time of the thread, which
other work on the machine disturbs least. The verdicts are compared image by image.

    digits      360 test images of the digits, smallcnn trained adversarially, radius 0.2
    seeds       the same with five seeds, one after the other, as one worker of a run with `--seeds 5` does them
    resnet18    images of 32 x 32 noise, ResNet-18 with its first weights, labelled by itself, at a radius where every
                image holds; a fiftieth of the standard version's iterations and queries, since one image takes minutes

Expected before the whole was measured, from a profile of the package on 360 digits (one thread, 28.4 s), and from the
new steps alone: keeping freed memory saves 6 s; folding saves 1.5 s of the passes of APGD and FAB; Square, of which
most queries were asked before, falls from 8 s to 2 s; projecting with fewer operations saves 1 s of FAB. So harness
takes about 14 s: 2.0 times as fast as the package, and 1.6 times as fast as the package with the same allocator. On
ResNet-18 nothing but folding, channels last, and the allocator counts: 1.5 times.

Expected of five seeds: FAB takes half of harness's time of one seed, and is left out with the others but for a few new
images, whose steps cost a third of it. So they take 3.7 times as long as one, and harness is 2.7 times as fast as the
package.

    OMP_NUM_THREADS=1 python -m benchmarks.autoattack            # writes results/autoattack-cpu.json
    OMP_NUM_THREADS=1 python -m benchmarks.autoattack resnet18 --repeats 5
    OMP_NUM_THREADS=1 python -m benchmarks.autoattack seeds --repeats 2
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

import pyautoattack
import torch
from torch import Tensor, nn

from benchmarks.autoattack_overhead import CPU, SEED, THREAT, by_package, network, train
from benchmarks.measuring import RESULTS, machine, quartiles
from harness.data.digits import Digits
from harness.evaluator import evaluate
from harness.networks.resnet18 import ResNet18
from harness.plugin.attack import Attack
from harness.plugin.network import Shape
from harness.registry.catalogue import discover
from harness.runtime.allocator import keep_freed_memory
from harness.runtime.seeds import generator, global_seed

SIDES = ("package", "package, kept", "harness")
CASES = {  # images, radius, how many times shorter, seeds
    "digits": (360, 0.2, 1, 1),
    "seeds": (360, 0.2, 1, 5),
    "resnet18": (4, 1e-4, 50, 1),
}


def block(case: str, images: int, weights: Path) -> tuple[nn.Module, Tensor, Tensor]:
    """The network, and the images with their labels."""
    if case != "resnet18":
        dataset, model = Digits().load(Path()), network()
        model.load_state_dict(torch.load(weights, weights_only=True))
        x, y = dataset.pixels(dataset.test.images[:images]), dataset.test.labels[:images]
        return model.eval().requires_grad_(False), x, y
    with global_seed(CPU, SEED):
        model = ResNet18().build(Shape(3, 32, 32, 10)).eval().requires_grad_(False)
    x = torch.rand(images, 3, 32, 32, generator=generator(CPU, SEED, "images"))
    with torch.no_grad():
        return model, x, model(x).argmax(1)


def shorten(by: int) -> None:
    """Divide the package's iterations and queries."""
    standard = pyautoattack.AutoAttack._set_version

    def short(self: Any, version: str = "standard") -> None:
        standard(self, version)
        for attack in (self.apgd, self.apgd_targeted, self.fab):
            attack.n_iter //= by
        self.square.n_queries //= by

    pyautoattack.AutoAttack._set_version = short


def by_harness(model: nn.Module, x: Tensor, y: Tensor, epsilon: float, attack_seed: int = SEED) -> Tensor:
    """Verdicts, ``(batch,)`` bool, as a work item gets them."""
    attack = cast(Attack, discover("attacks").get("autoattack").from_mapping({}))
    threat = replace(THREAT, epsilon=epsilon)
    return evaluate(model, attack, x, y, threat, generator(x.device, attack_seed, "benchmark"), faster=model).correct


def measure(side: str, case: str, images: int, weights: Path) -> dict[str, Any]:
    """Measure one side in this process: wall and processor seconds, and verdicts."""
    torch.set_num_threads(1)
    _, epsilon, shorter, seeds = CASES[case]
    shorten(shorter)
    if side != "package":
        keep_freed_memory()
    model, x, y = block(case, images, weights)
    run = by_harness if side == "harness" else by_package
    run(model, x[:1], y[:1], 1.0)  # warms up: the radius breaks the image at once
    wall, processor = time.perf_counter(), time.thread_time()
    correct = torch.cat([run(model, x, y, epsilon, SEED + number) for number in range(seeds)])
    return {
        "wall_s": time.perf_counter() - wall,
        "processor_s": time.thread_time() - processor,
        "correct": correct.int().tolist(),
    }


def compared(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Seconds of each side, the ratio package / side of each round, and how many verdicts equal the package's."""
    found: dict[str, Any] = {"sides": {}}
    for side in SIDES:
        pairs = [(one[side], one["package"]) for one in rounds]
        same = [sum(a == b for a, b in zip(ours["correct"], theirs["correct"], strict=True)) for ours, theirs in pairs]
        entry = {key: [ours[key] for ours, _ in pairs] for key in ("wall_s", "processor_s")}
        ratios = {key: [theirs[key] / ours[key] for ours, theirs in pairs] for key in entry}
        found["sides"][side] = {
            **entry,
            **{f"{key}_ratio_median": statistics.median(values) for key, values in ratios.items()},
            **{f"{key}_ratio_quartiles": quartiles(values) for key, values in ratios.items()},
            "verdicts_equal": min(same),
        }
    found["robust"] = sum(rounds[0]["package"]["correct"])
    return found


def benchmark(case: str, images: int, repeats: int) -> dict[str, Any]:
    """Make the measurements of one case."""
    processes = ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1)
    with tempfile.TemporaryDirectory() as folder, processes:
        weights = Path(folder) / "weights.pt"
        if case != "resnet18":
            torch.save(train(15).state_dict(), weights)
        rounds = []
        for repeat in range(repeats):
            turn = repeat % len(SIDES)
            order = (*SIDES[turn:], *SIDES[:turn])
            rounds.append({side: processes.submit(measure, side, case, images, weights).result() for side in order})
            seconds = {side: round(one["processor_s"], 2) for side, one in rounds[-1].items()}
            print(f"{case} {repeat + 1}/{repeats}: {seconds}", file=sys.stderr)
    _, epsilon, shorter, seeds = CASES[case]
    facts = {"n": images, "repeats": repeats, "epsilon": epsilon, "times_shorter": shorter, "seeds": seeds}
    return {**facts, "load": round(os.getloadavg()[0], 2), **compared(rounds)}


def main() -> None:
    """Measure, print, and write ``results/autoattack-cpu.json``, beside the other case that is in it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("cases", nargs="*", default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--images", type=int, help="images in the block")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of measurements, 2 or more")
    parser.add_argument("--out", type=Path, default=RESULTS / "autoattack-cpu.json", help="the file to write")
    chosen = parser.parse_args()
    if chosen.repeats < 2:
        parser.error("--repeats takes 2 or more: one round has no quartiles")
    torch.set_num_threads(1)
    cases = json.loads(chosen.out.read_text())["cases"] if chosen.out.exists() else {}
    for case in chosen.cases:
        found = benchmark(case, chosen.images or CASES[case][0], chosen.repeats)
        cases[case] = found
        head = {"benchmark": "autoattack", "clock": "processor", **machine(CPU, "torch", "pyautoattack")}
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(json.dumps({**head, "cases": dict(sorted(cases.items()))}, indent=1) + "\n")
        for side in SIDES[1:]:
            entry = found["sides"][side]
            low, high = entry["processor_s_ratio_quartiles"]
            print(
                f"{case}: package / {side} {entry['processor_s_ratio_median']:.2f} (quartiles {low:.2f} to {high:.2f});"
                f" {entry['verdicts_equal']} of {found['n'] * found['seeds']} verdicts equal"
            )


if __name__ == "__main__":
    main()
