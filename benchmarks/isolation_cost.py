"""Measure what it costs to isolate a model from the process: an isolated pass, beside the same pass without isolation.

    isolated  ``harness.runtime.isolation.isolated``: around each forward and backward pass, the model's own generator
              states are put in place, and the attack's states and the process's modes are restored
    plain     the same network, called directly

Expected before measuring: some 100 microseconds for a forward pass, and as much for its backward pass, for any network.
That is 5 to 10 % of a pass of smallcnn over 100 digits, one of the shortest passes in use, and less than 1 % of a pass
of ResNet-18.

The sides alternate within one process, and so does which side is first, so that other load affects both.

    OMP_NUM_THREADS=1 python -m benchmarks.isolation_cost       # about 2 minutes on one core
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measuring import RESULTS, machine, quartiles
from harness.networks.resnet18 import ResNet18
from harness.networks.smallcnn import SmallCNN
from harness.plugin.network import Network, Shape
from harness.runtime.device import resolve_device
from harness.runtime.isolation import isolated
from harness.runtime.seeds import generator, global_seed

CASES: dict[str, tuple[Network, Shape, int, int]] = {  # network, images, and passes in one measurement
    "smallcnn, 100 digits": (SmallCNN(), Shape(1, 8, 8, 10), 100, 50),
    "resnet18, 16 images of 32x32": (ResNet18(), Shape(3, 32, 32, 10), 16, 1),
}


def seconds(model: nn.Module, x: Tensor, passes: int, *, apart: bool, backward: bool) -> float:
    """Wall time of one pass, as the mean over ``passes``."""
    with isolated(model, x.device, 0) if apart else contextlib.nullcontext():
        started = time.perf_counter()
        for _ in range(passes):
            if backward:
                leaf = x.clone().requires_grad_()
                torch.autograd.grad(model(leaf).logsumexp(1).sum(), leaf)
            else:
                with torch.no_grad():
                    model(x)
        if x.device.type == "cuda":
            torch.cuda.synchronize(x.device)
        return (time.perf_counter() - started) / passes


def compared(model: nn.Module, x: Tensor, passes: int, repeats: int, *, backward: bool) -> dict[str, Any]:
    """Both sides over the repeats: seconds a pass, the ratio of each pair, and the difference in microseconds."""
    pairs: list[dict[bool, float]] = []
    for repeat in range(repeats + 1):  # the first pair warms up
        order = (True, False) if repeat % 2 else (False, True)
        pairs.append({apart: seconds(model, x, passes, apart=apart, backward=backward) for apart in order})
    ratios = [pair[True] / pair[False] for pair in pairs[1:]]
    added = [1e6 * (pair[True] - pair[False]) for pair in pairs[1:]]
    return {
        "isolated_s": [pair[True] for pair in pairs[1:]],
        "plain_s": [pair[False] for pair in pairs[1:]],
        "ratio_median": statistics.median(ratios),
        "ratio_quartiles": quartiles(ratios),
        "added_us_median": statistics.median(added),
        "added_us_quartiles": quartiles(added),
    }


def benchmark(repeats: int, device: torch.device) -> dict[str, Any]:
    """Make all measurements; the result also describes the machine."""
    found: dict[str, Any] = {}
    for name, (network, shape, images, passes) in CASES.items():
        with global_seed(torch.device("cpu"), 0):
            model = network.build(shape)
        model = model.to(device).eval().requires_grad_(False)
        x = torch.rand(images, *shape[:3], generator=generator(torch.device("cpu"), 0, "benchmark")).to(device)
        kinds = {"forward": False, "forward and backward": True}
        found[name] = {kind: compared(model, x, passes, repeats, backward=backward) for kind, backward in kinds.items()}
    return {
        "benchmark": "isolation_cost",
        "repeats": repeats,
        "passes": {name: passes for name, (*_, passes) in CASES.items()},
        **machine(device, "torch"),
        "cases": found,
    }


def main() -> None:
    """Measure, print, and write ``results/isolation_cost-DEVICE.json``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=40, help="pairs of measurements")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, or cuda:0")
    chosen = parser.parse_args()
    device = resolve_device(chosen.device)
    found = benchmark(chosen.repeats, device)
    file = RESULTS / f"isolation_cost-{device.type}.json"
    file.write_text(json.dumps(found, indent=2) + "\n")
    for name, kinds in found["cases"].items():
        for kind, both in kinds.items():
            low, high = both["ratio_quartiles"]
            less, more = both["added_us_quartiles"]
            print(
                f"{name}, {kind}: isolated / plain {both['ratio_median']:.3f} (quartiles {low:.3f} to {high:.3f}),"
                f" {both['added_us_median']:.0f} microseconds more ({less:.0f} to {more:.0f})"
            )
    print(f"{found['repeats']} repeats; {file}", file=sys.stderr)


if __name__ == "__main__":
    main()
