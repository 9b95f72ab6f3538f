"""Measure what harness's evaluator adds to a plain call of AutoAttack's own package, in time and in peak memory.

Both sides attack the same block of the digits' test images with the same network (smallcnn, trained adversarially for
a few epochs, so that every part has examples left), the same seed, the same radius, the same device, one thread:

    harness   ``harness.evaluator.evaluate`` with the attack ``autoattack``
    package   ``pyautoattack.AutoAttack(...).run_standard_evaluation`` on the block as one batch

Expected before measuring: less than 3 % more time, and less than 3 % more memory. The package makes some ten thousand
passes. The evaluator adds two checks of the pixels' range, a forward pass of one image, a projection, one forward pass
of the block, and log lines.

Each measurement runs in its own process, since peak memory is counted for a process. The sides alternate, and so does
which side is first, so that other load on the machine affects both. Processor time is reported beside wall time, since
other load affects it less. The evaluator's wall time outside the package's own run is reported as a share of that run,
which other load slows equally. Memory is the process's peak during the attack, and its growth over the memory in use
before. Both sides are warmed up in both processes. The parameters of both networks have ``requires_grad`` False.

    python -m benchmarks.autoattack_overhead            # about 6 minutes on one core
    python -m benchmarks.autoattack_overhead --device cuda
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyautoattack
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.measuring import RESULTS, machine, peak_memory, quartiles, reset_peak
from harness.attacks.autoattack import AutoAttack
from harness.data.digits import Digits
from harness.evaluator import evaluate
from harness.networks.smallcnn import SmallCNN
from harness.plugin.adversary import CrossEntropy, ascend
from harness.plugin.threat import Threat
from harness.runtime.device import arithmetic, resolve_device
from harness.runtime.seeds import generator, global_seed
from harness.training.batches import epoch_batches

SIDES = ("harness", "package")
QUANTITIES = {
    "wall_s": "wall time",
    "processor_s": "processor time",
    "peak_bytes": "peak memory",
    "growth_bytes": "peak memory beyond what was in use before",
}
EPSILON, SEED = 0.2, 0
THREAT = Threat(epsilon=EPSILON, steps=5, step_size=EPSILON / 2, start="uniform")
CPU = torch.device("cpu")


def network() -> nn.Module:
    """The untrained network for the digits."""
    with global_seed(CPU, SEED):
        return SmallCNN().build(Digits().load(Path()).shape)


def train(epochs: int = 5) -> nn.Module:
    """A network on which some test images survive AutoAttack: SAT with five steps, on the CPU."""
    dataset, model = Digits().load(Path()), network()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for epoch in range(epochs):
        draws = generator(CPU, SEED, "perturb", epoch)
        for x, y in epoch_batches(dataset, 64, SEED, epoch):
            (variant,) = ascend(model, x, y, [CrossEntropy()], THREAT, draws)
            optimiser.zero_grad()
            F.cross_entropy(model.train()(variant.x), y).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return model.eval()


def by_harness(model: nn.Module, x: Tensor, y: Tensor, epsilon: float) -> Tensor:
    """Verdicts of the evaluator, ``(batch,)`` bool."""
    threat = replace(THREAT, epsilon=epsilon)
    return evaluate(model, AutoAttack(), x, y, threat, generator(x.device, SEED, "benchmark")).correct


def by_package(model: nn.Module, x: Tensor, y: Tensor, epsilon: float, attack_seed: int = SEED) -> Tensor:
    """The same verdicts by a plain call, as a user of the package writes it."""
    draws = generator(x.device, attack_seed, "benchmark")
    seed = int(torch.randint(2**31 - 1, (), generator=draws, device=x.device))
    torch.manual_seed(seed)
    with arithmetic(x.device, "float32"):
        attack = pyautoattack.AutoAttack(model, norm="Linf", eps=epsilon, seed=seed, device=x.device)
        _, predicted = attack.run_standard_evaluation(x, y, batch_size=len(x))
    correct: Tensor = predicted == y
    return correct.cpu()


def measure(side: str, weights: Path, images: int, device: torch.device) -> dict[str, Any]:
    """Measure one side in this process: wall and processor seconds, peak memory and its growth in bytes, verdicts."""
    torch.set_num_threads(1)
    dataset, model = Digits().load(Path()), network()
    model.load_state_dict(torch.load(weights, weights_only=True))
    model = model.to(device).eval().requires_grad_(False)
    x, y = dataset.pixels(dataset.test.images[:images]).to(device), dataset.test.labels[:images].to(device)
    sides = {"harness": by_harness, "package": by_package}
    for warm_up in sides.values():  # radius 1, which breaks every image at once
        warm_up(model, x, y, 1.0)
    inside = timed_inside()
    before = reset_peak(device)
    wall, processor = time.perf_counter(), time.process_time()
    correct = sides[side](model, x, y, EPSILON)  # on the CPU, so the device has finished
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak = peak_memory(device)
    verdicts = bytes(correct.to(torch.uint8).tolist())
    return {
        "wall_s": wall,
        "processor_s": processor,
        "beside_share": (wall - sum(inside)) / sum(inside),
        "peak_bytes": peak,
        "growth_bytes": peak - before,
        "robust": sum(verdicts),
        "verdicts_sha256": hashlib.sha256(verdicts).hexdigest(),
    }


def timed_inside() -> list[float]:
    """A list to which every later run of the package's own evaluation adds its seconds, whoever calls it."""
    spent: list[float] = []
    original = pyautoattack.AutoAttack.run_standard_evaluation

    def timed(*arguments: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return original(*arguments, **named)
        finally:
            spent.append(time.perf_counter() - started)

    pyautoattack.AutoAttack.run_standard_evaluation = timed
    return spent


def compared(pairs: list[dict[str, dict[str, Any]]], key: str) -> dict[str, Any]:
    """One quantity over the repeats: both sides, and the ratio (harness / package) of each pair."""
    ratios = [pair["harness"][key] / pair["package"][key] for pair in pairs]
    draws = random.Random(0)
    medians = sorted(statistics.median(draws.choices(ratios, k=len(ratios))) for _ in range(2000))
    return {
        **{side: [pair[side][key] for pair in pairs] for side in SIDES},
        "ratio_median": statistics.median(ratios),
        "ratio_median_bootstrap95": [medians[50], medians[1949]],
        "ratio_quartiles": quartiles(ratios),
        "ratio_range": [min(ratios), max(ratios)],
    }


def benchmark(images: int, repeats: int, device: torch.device) -> dict[str, Any]:
    """Make all measurements; the result also describes the machine."""
    torch.set_num_threads(1)
    processes = ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1)
    with tempfile.TemporaryDirectory() as folder, processes:
        weights = Path(folder) / "weights.pt"
        torch.save(train().state_dict(), weights)
        pairs = []
        for repeat in range(repeats):
            order = SIDES if repeat % 2 == 0 else SIDES[::-1]
            pair = {side: processes.submit(measure, side, weights, images, device).result() for side in order}
            pairs.append(pair)
            ratio = pair["harness"]["wall_s"] / pair["package"]["wall_s"]
            print(f"{repeat + 1}/{repeats}: {pair['package']['wall_s']:.1f} s, ratio {ratio:.4f}", file=sys.stderr)
    return {
        "benchmark": "autoattack_overhead",
        "n": images,
        "repeats": repeats,
        "robust": pairs[0]["package"]["robust"],
        "epsilon": EPSILON,
        "network": "smallcnn width=16, digits",
        **machine(device, "torch", "pyautoattack"),
        "verdicts_equal": len({found["verdicts_sha256"] for pair in pairs for found in pair.values()}) == 1,
        "beside_share": {
            **{side: [pair[side]["beside_share"] for pair in pairs] for side in SIDES},
            **{f"{side}_median": statistics.median(pair[side]["beside_share"] for pair in pairs) for side in SIDES},
        },
        **{key: compared(pairs, key) for key in QUANTITIES},
    }


def main() -> None:
    """Measure, print, and write ``results/autoattack_overhead-DEVICE.json``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=int, default=32, help="images in the block")
    parser.add_argument("--repeats", type=int, default=20, help="pairs of measurements")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, or cuda:0")
    parser.add_argument("--out", type=Path, help="the file to write")
    chosen = parser.parse_args()
    device = resolve_device(chosen.device)
    found = benchmark(chosen.images, chosen.repeats, device)
    file = chosen.out or RESULTS / f"autoattack_overhead-{device.type}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=2) + "\n")
    for key, what in QUANTITIES.items():
        (low, high), (least, most) = found[key]["ratio_median_bootstrap95"], found[key]["ratio_range"]
        median = f"{found[key]['ratio_median']:.4f} (median; bootstrap 95 % {low:.4f} to {high:.4f})"
        print(f"{what}: harness / package {median}, single pairs {least:.4f} to {most:.4f}")
    share = max(found["beside_share"]["harness"])
    print(f"wall time beside the package's own run: at most {100 * share:.3f} % of it")
    print(f"n = {found['n']} images, {found['repeats']} repeats, verdicts equal: {found['verdicts_equal']}; {file}")


if __name__ == "__main__":
    main()
