"""Times the parts of a computation, on the CPU by a clock and on a CUDA device by its own events."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.plugin.adversary import Crafter, Variant
from harness.plugin.dataset import Dataset
from harness.plugin.method import Method, Step
from harness.plugin.network import Network
from harness.protocols.run_spec import RunSpec
from harness.training.epoch_so_far import EpochSoFar
from harness.training.loop import Trainer
from harness.training.prepared import Batch

Clock = Callable[[], float]
"""Seconds since any moment."""

CRAFTING, UPDATE, DATA = "crafting", "update", "data"


class Stopwatch:
    """Adds up the seconds of each part. On CUDA nothing waits for the device until the seconds are read."""

    def __init__(self, device: torch.device, clock: Clock = time.perf_counter) -> None:
        self._cuda, self._device, self._clock = device.type == "cuda", device, clock
        self._spans: list[tuple[str, Any, Any]] = []

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of the body as this part's, and as that of any part around it."""
        start = self._mark()
        yield
        self._spans.append((name, start, self._mark()))

    def _mark(self) -> Any:
        if not self._cuda:
            return self._clock()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        return event

    def read(self) -> dict[str, float]:
        """The seconds of each part since the last reading. Waits for the device."""
        if self._cuda:
            torch.cuda.synchronize(self._device)
        seconds: dict[str, float] = defaultdict(float)
        for name, start, end in self._spans:
            seconds[name] += start.elapsed_time(end) / 1000 if self._cuda else end - start
        self._spans = []
        return seconds


class TimedTrainer(Trainer):
    """The trainer of a run, whose loop is that of every run, and which times its parts.

    ``watch`` has the seconds of ``crafting``, of ``update`` (crafting included), and of ``data``.
    """

    def __init__(
        self, spec: RunSpec, method: Method, network: Network, dataset: Dataset, craft: Crafter, watch: Stopwatch
    ) -> None:
        self.watch = watch
        super().__init__(spec, 0, method, network, dataset, Path(), craft=craft)  # an epoch alone writes nothing

    def _crafted(self, model: nn.Module, x: Tensor, *others: Any) -> tuple[Variant, ...]:
        with self.watch.part(CRAFTING):
            return self.craft(model, x, *others)

    def _batches(self, so_far: EpochSoFar) -> Iterator[Batch]:
        batches = super()._batches(so_far)
        while True:
            with self.watch.part(DATA):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _update(self, step: Step) -> Tensor:
        with self.watch.part(UPDATE):
            return super()._update(replace(step, craft=self._crafted))
