"""Profile an LRAT step and a block of AutoAttack by operator, before (``--plain``) and after (the faster layers).

Each way runs after a warm-up, in this process, with the same allocator. On a CPU each operator that reaches the
dispatcher is timed by itself, forward and backward, on the thread's own processor time; what is left of the time
without timers is Python, autograd, and dispatch. (torch's profiler keeps an event for each call, and AutoAttack makes a
million.) On CUDA torch's profiler counts each kernel's time on the device.

Expected before measuring: the plain step spends most of its time in convolutions and their gradients, and on small
images a third in batch-norm, copies, and element-wise operators; the faster layers leave no batch-norm in crafting.

    OMP_NUM_THREADS=1 python -m benchmarks.profile_step            # about 3 minutes on one core
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.measuring import RESULTS, clock, machine, merge, surroundings
from benchmarks.ours import SETTINGS, Training, made
from harness.evaluator import evaluate
from harness.runtime.allocator import keep_freed_memory
from harness.runtime.device import resolve_device
from harness.runtime.seeds import generator

WAYS = {"before": False, "after": True}  # whether the faster layers are used
KEPT = 14  # operators in the table; the rest are added up
REPEATS = {"smallcnn lrat": 15, "resnet18 lrat": 1, "smallcnn autoattack": 1}  # without timers; the median counts
CASES = tuple(REPEATS)
IMAGES = 16  # of the block that AutoAttack attacks
EPOCHS = 30  # of training on these images, so that some hold and every part of AutoAttack has work


def step(network: str, device: torch.device, folder: Path) -> dict[str, Callable[[], object]]:
    """An LRAT update, before and after."""
    setting = SETTINGS[network]
    x, y = setting.examples(setting.batch, device)
    return {
        way: partial(Training(setting, "lrat", device, folder, fast=fast).update, x, y) for way, fast in WAYS.items()
    }


def block(device: torch.device, folder: Path) -> dict[str, Callable[[], object]]:
    """AutoAttack on one block of a network trained on it for a while at a smaller radius, before and after."""
    setting = SETTINGS["smallcnn"]
    training = Training(setting, "sat", device, folder, fast=True)
    x, y = setting.examples(IMAGES, device)
    for _ in range(EPOCHS):
        training.update(x, y)
    model, threat = training.model.eval(), setting.protocol.evaluation_threat_at(setting.protocol.epsilon / 4)
    attack = made("attacks", "autoattack")

    def attacked(fast: bool, count: int = IMAGES) -> int:
        draws, faster = generator(device, 0, "autoattack"), model if fast else None
        return int(evaluate(model, attack, x[:count], y[:count], threat, draws, faster=faster).correct.sum())

    attacked(False, 2)  # warms up
    return {way: partial(attacked, fast) for way, fast in WAYS.items()}


class Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Calls and processor seconds of each operator that is called in the body."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found = defaultdict[str, list[float]](lambda: [0, 0.0])

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Time one call."""
        started = time.thread_time()
        result = func(*args, **(kwargs or {}))
        entry = self.found[str(func.overloadpacket)]
        entry[1] += time.thread_time() - started
        entry[0] += 1
        return result


def profiled(work: Callable[[], object], device: torch.device) -> dict[str, tuple[int, float]]:
    """Operator -> its calls, and the seconds that it took itself."""
    if device.type == "cpu":
        with Operators() as operators:
            work()
        return {name: (int(calls), seconds) for name, (calls, seconds) in operators.found.items()}
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        work()
    return {event.key: (event.count, event.self_device_time_total / 1e6) for event in profiler.key_averages()}


def table(found: dict[str, dict[str, tuple[int, float]]]) -> list[dict[str, Any]]:
    """A row for each of the operators that take the most time on either side, then one for all others."""
    totals = {name: sum(seconds for _, seconds in operators.values()) for name, operators in found.items()}
    every = {key for operators in found.values() for key in operators}

    def most(key: str) -> float:
        return max(found[way].get(key, (0, 0.0))[1] for way in WAYS)

    chosen = sorted(every, key=most, reverse=True)[:KEPT]
    rows = [
        {"operator": key, **{way: _cell(found[way].get(key, (0, 0.0)), totals[way]) for way in WAYS}} for key in chosen
    ]
    rest = {way: [value for key, value in found[way].items() if key not in chosen] for way in WAYS}
    added = {way: (sum(calls for calls, _ in values), sum(s for _, s in values)) for way, values in rest.items()}
    return [*rows, {"operator": "all others", **{way: _cell(added[way], totals[way]) for way in WAYS}}]


def _cell(value: tuple[int, float], total: float) -> dict[str, Any]:
    calls, seconds = value
    return {"calls": calls, "seconds": seconds, "share": seconds / total if total else 0.0}


def main() -> None:
    """Profile, print, and write ``results/profile_step-DEVICE.json``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cases", nargs="+", default=CASES, choices=CASES)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, or cuda:0")
    parser.add_argument("--out", type=Path, help="the file to write")
    chosen = parser.parse_args()
    device = resolve_device(chosen.device)
    if device.type == "cpu":
        keep_freed_memory()
    file: Path = chosen.out or RESULTS / f"profile_step-{device.type}.json"
    for case in chosen.cases:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            network, what = case.split()
            ways = step(network, device, Path(folder)) if what == "lrat" else block(device, Path(folder))
            name, now = clock(device)
            seconds, found = {}, {}
            for way, work in ways.items():
                result = work() if what == "lrat" else None  # warms up
                times = []
                for _ in range(REPEATS[case]):
                    started = now()
                    result = work()
                    times.append(now() - started)
                seconds[way], found[way] = statistics.median(times), profiled(work, device)
        packages = ("torch", "pyautoattack") if what == "autoattack" else ("torch",)
        entry = {**machine(device, *packages), **surroundings(), "clock": name, "seconds": seconds}
        if what == "autoattack":
            entry |= {"images": IMAGES, "robust": result}
        merge(file, {"benchmark": "profile_step"}, {case: {**entry, "operators": table(found)}})
        print(f"{case}: {seconds}, {time.perf_counter() - began:.0f} s", flush=True)
        for row in table(found):
            cells = "  ".join(f"{row[w]['calls']:7d} {1e3 * row[w]['seconds']:9.1f} ms" for w in WAYS)
            print(f"  {row['operator']:<45} {cells}")
    print(file, file=sys.stderr)


if __name__ == "__main__":
    main()
