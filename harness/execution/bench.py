"""Measures this machine: each method's training step and each attack, on random images, by the code of real runs.

A bench takes about a minute, on a slow machine, too. So it times a pass first. What a step or an attack will take
follows from its passes, and decides how many images are taken, and how often. What would still take too long is not
measured: its time is computed from its passes and from what was measured, and says so.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import torch

from harness.execution.bench_attacks import AttackBench
from harness.execution.bench_items import Item, sweep
from harness.execution.bench_steps import StepBench
from harness.execution.peak import Arithmetic, Peak, count_arithmetic, measure_peak
from harness.execution.stopwatch import Clock
from harness.planning.bench_job import BenchJob
from harness.planning.measured_times import Bench
from harness.runtime.allocator import keep_freed_memory
from harness.runtime.device import device_label
from harness.runtime.process import process_kept
from harness.runtime.provenance import host, provenance
from harness.training.loop import initial_model

BUDGET_S = 52.0  # of the measurements; the command starts in some seconds more
_OF_TRAINING = 0.6  # of the budget
_PEAK_S = 1.0  # for each peak


@dataclass(frozen=True, kw_only=True)
class BenchFigures:
    """What a bench found.

    Attributes:
        training_peak, attack_peak: in the training's precision and threads, and in the attacks'.
        peak_memory: bytes of the device's memory, or on the CPU of the process's.
    """

    training: tuple[Item, ...]
    attacks: tuple[Item, ...]
    arithmetic: Arithmetic
    training_peak: Peak
    attack_peak: Peak
    peak_memory: int
    took_s: float


def measure(
    job: BenchJob,
    tell: Callable[[str], None] = lambda _text: None,
    *,
    seconds: float = BUDGET_S,
    clock: Clock = time.perf_counter,
) -> BenchFigures:
    """Measure everything, in about as many seconds as are given.

    Args:
        tell: hears what is being measured.
    """
    start = clock()
    end, device, precision = start + seconds, job.device, job.protocol.train.precision
    keep_freed_memory()
    with process_kept():
        tell("the peak of the device")
        with _threads(job.threads):
            training_peak = measure_peak(device, precision, _PEAK_S, clock)
        with _threads(1):
            attack_peak = measure_peak(device, "float32", _PEAK_S, clock)
        model = initial_model(job.network, job.likeness.shape, 0).to(device).eval().requires_grad_(False)
        two = job.likeness.images(2, device)
        counted = count_arithmetic(model, two.pixels(two.train.images))
        now = clock()
        with _threads(job.threads):
            steps = StepBench(job, model, counted, clock)
            training = sweep(steps, job.methods, now + _OF_TRAINING * (end - now), clock, tell)
        with _threads(1):
            attacks = sweep(AttackBench(job, model, counted, clock), job.attacks, end, clock, tell)
    on_device = [item.peak_bytes for item in (*training, *attacks) if item.peak_bytes is not None]
    return BenchFigures(
        training=training,
        attacks=attacks,
        arithmetic=counted,
        training_peak=training_peak,
        attack_peak=attack_peak,
        peak_memory=max(on_device) if on_device else _process_memory(),
        took_s=clock() - start,
    )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _process_memory() -> int:
    """The most bytes of memory that this process has had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def record_of_bench(job: BenchJob, found: BenchFigures) -> Bench:
    """What is kept of a bench."""
    channels, height, width, _ = job.likeness.shape
    versions = provenance(device_label(job.device), job.threads)
    for name in ("device", "threads", "host"):
        del versions[name]
    return Bench(
        host=host(),
        device=device_label(job.device),
        network=job.network.name,
        network_settings=job.network.resolved(),
        image=(channels, height, width),
        precision=job.protocol.train.precision,
        plain=job.plain,
        training={item.name: item.timed for item in found.training},
        attacks={item.name: item.timed for item in found.attacks},
        measured_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        beside={
            "torch_device": str(job.device),
            "protocol": job.protocol.name,
            "threads": {"training": job.threads, "attacks": 1},
            "images_together": {item.name: item.images for item in (*found.training, *found.attacks)},
            "versions": versions,
        },
    )
