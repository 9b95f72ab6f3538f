"""Measure several ways of doing the same, in turn: times with quartiles, ratios of each round, and the machine."""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from harness.runtime.device import device_label

RESULTS = Path(__file__).parent / "results"
LEAST_ROUNDS = 3  # of a case, however short the time: fewer have no quartiles
Side = Callable[[], object]


def machine(device: torch.device, *packages: str) -> dict[str, Any]:
    """Device (a processor's product name, if the system reports it), threads, and versions."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "device": device_label(device) if device.type == "cuda" else next(iter(names), platform.machine()),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in packages},
    }


def surroundings() -> dict[str, Any]:
    """When it was measured, how many cores there are, and how many processes wanted one in the last minute."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


def quartiles(values: Sequence[float]) -> list[float]:
    """The first and the third quartile."""
    return statistics.quantiles(values, n=4, method="inclusive")[::2]


def middle(values: Sequence[float]) -> dict[str, Any]:
    """Median and quartiles."""
    return {"median": statistics.median(values), "quartiles": quartiles(values)}


def clock(device: torch.device) -> tuple[str, Callable[[], float]]:
    """The clock of the ratios, by name: other work on the machine disturbs the processor's least.

    With one thread on a CPU it is the processor time of this thread, else wall time, after the device has finished.
    """
    if device.type == "cpu" and torch.get_num_threads() == 1:
        return "processor", time.thread_time

    def wall() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return "wall", wall


def in_turn(
    sides: Mapping[str, Side], device: torch.device, rounds: int, seconds: float, calls: int = 1, *, warm: bool = False
) -> tuple[str, dict[str, list[float]]]:
    """Time the sides in turn, round after round; which side is first rotates. One round before the first warms up.

    Args:
        rounds: at most so many.
        seconds: no round begins after so long, but for the first ``LEAST_ROUNDS``.
        calls: of each side in a round; the mean counts.
        warm: whether an earlier call warmed up.
    Returns:
        The name of the clock, and the seconds of one call of each side in each round.
    """
    began = time.perf_counter()
    name, now = clock(device)
    found: dict[str, list[float]] = {side: [] for side in sides}
    order = list(sides)
    for number in range(0 if warm else -1, rounds):
        if number >= LEAST_ROUNDS and time.perf_counter() - began > seconds:
            break
        turn = number % len(order)
        for side in (*order[turn:], *order[:turn]):
            gc.collect()
            started = now()
            for _ in range(calls if number >= 0 else 1):
                sides[side]()
            if number >= 0:
                found[side].append((now() - started) / calls)
    return name, found


def compared(found: Mapping[str, Sequence[float]], base: str) -> dict[str, Any]:
    """Seconds of each side, and for every other side the ratio side / base of each round: medians and quartiles."""
    ratios = {s: [a / b for a, b in zip(times, found[base], strict=True)] for s, times in found.items() if s != base}
    return {
        "rounds": len(found[base]),
        "seconds": {side: {**middle(times), "each": list(times)} for side, times in found.items()},
        "base": base,
        "ratios": {side: middle(values) for side, values in ratios.items()},
    }


def merge(file: Path, head: Mapping[str, Any], cases: Mapping[str, Any]) -> None:
    """Write the cases into the file, beside those that it has of other calls, and renew the head."""
    known = json.loads(file.read_text())["cases"] if file.exists() else {}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**head, "cases": dict(sorted({**known, **cases}.items()))}, indent=1) + "\n")


def reset_peak(device: torch.device) -> int:
    """Reset the peak; returns the memory in use, in bytes."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: resets the peak of the resident set
    return peak_memory(device)


def peak_memory(device: torch.device) -> int:
    """Peak since ``reset_peak``, in bytes: of torch's memory on a CUDA device, else of this process's resident set."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
