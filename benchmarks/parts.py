"""Measure what of a training step is neither a forward nor a backward pass, and what getting a batch adds to it.

Timers stand around the parts of a real update: the forward passes of the batch, the backward passes, the refresh of the
faster layers, the steps and projections of the attack, and the optimiser. What no timer sees is the rest: losses,
weights, counts of steps, guards, and the timers themselves. Getting a batch (shuffling, indexing, augmentation,
conversion) is timed over a whole epoch, and divided by its batches. On the CPU alone: a GPU replays a crafting as one
graph, which no hook sees (``harness bench`` times its parts by events).

Expected before measuring (the goals that were set beforehand): outside forward and backward passes at most 5 % of a
step of ResNet-18 and at most 30 % of a step of smallcnn; getting a batch at most 2 % of a step.

    OMP_NUM_THREADS=1 python -m benchmarks.parts                    # about 3 minutes on one core
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.measuring import RESULTS, clock, machine, merge, middle, surroundings
from benchmarks.ours import METHODS, SETTINGS, Training
from harness.fast.convolution import FoldedConvolution
from harness.plugin.ball import LInf
from harness.runtime.allocator import keep_freed_memory
from harness.training.batches import batch_sizes, epoch_batches

AT_MOST = {"smallcnn": 0.30, "resnet18": 0.05}
DATA_AT_MOST = 0.02
PASSES = ("forward", "backward")
UPDATES = {"smallcnn": 40, "resnet18": 3}


class Timers:
    """Seconds in each part; a part within a part counts as the outer one."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now, self.spent, self._open = now, defaultdict[str, float](float), 0
        self._began = 0.0

    def begin(self) -> None:
        """A part begins."""
        if not self._open:
            self._began = self.now()
        self._open += 1

    def end(self, part: str) -> None:
        """The part ends."""
        self._open -= 1
        if not self._open:
            self.spent[part] += self.now() - self._began

    def around(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*arguments: Any, **named: Any) -> Any:
            self.begin()
            try:
                return function(*arguments, **named)
            finally:
                self.end(part)

        return timed


@contextlib.contextmanager
def timed(training: Training, timers: Timers, batch: int) -> Iterator[None]:
    """Timers around the parts of the updates in the body.

    Passes of fewer images than a batch are no passes of the step: with them the faster layers are compared with the
    network's own from time to time.
    """

    def before(_model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if len(inputs[0]) >= batch:
            timers.begin()

    def after(_model: nn.Module, inputs: tuple[Tensor, ...], _outputs: Tensor) -> None:
        if len(inputs[0]) >= batch:
            timers.end("forward")

    model, optimizer = training.model, training.trainer.optimizer
    hooks = model.register_forward_pre_hook(before), model.register_forward_hook(after)
    with (
        patch.object(torch.autograd, "grad", timers.around("backward", torch.autograd.grad)),
        patch.object(Tensor, "backward", timers.around("backward", Tensor.backward)),
        patch.object(FoldedConvolution, "refresh", timers.around("faster layers' refresh", FoldedConvolution.refresh)),
        patch.object(LInf, "step", timers.around("attack's steps", LInf.step)),
        patch.object(optimizer, "step", timers.around("optimiser", optimizer.step)),
    ):
        yield
    for hook in hooks:
        hook.remove()


def shares(network: str, method: str, device: torch.device, folder: Path, *, fast: bool) -> dict[str, Any]:
    """Share of each part of an update: medians and quartiles over the updates."""
    setting = SETTINGS[network]
    training = Training(setting, method, device, folder, fast=fast)
    x, y = setting.examples(setting.batch, device)
    name, now = clock(device)
    timers, whole, parts = Timers(now), list[float](), defaultdict[str, list[float]](list)
    with timed(training, timers, setting.batch):
        training.update(x, y)  # finds the faster layers: new hooks would have it do so again
        for _ in range(UPDATES[network]):
            timers.spent.clear()
            started = now()
            training.update(x, y)
            seconds = now() - started
            whole.append(seconds)
            for part, spent in timers.spent.items():
                parts[part].append(spent / seconds)
            parts["rest"].append(1 - sum(timers.spent.values()) / seconds)
            parts["outside"].append(1 - sum(timers.spent[part] for part in PASSES) / seconds)
    return {
        "clock": name,
        "updates": len(whole),
        "seconds": middle(whole),
        "at_most": AT_MOST[network],
        "shares": {part: middle(values) for part, values in parts.items()},
    }


def batch_seconds(network: str, device: torch.device) -> dict[str, Any]:
    """Seconds to get one batch, as the mean over an epoch: median and quartiles over five epochs."""
    setting = SETTINGS[network]
    dataset = setting.dataset(device)
    _, now = clock(device)
    batches, found = len(batch_sizes(setting.images, setting.batch)), []
    for epoch in range(5):
        started = now()
        for _ in epoch_batches(dataset, setting.batch, 0, epoch):
            pass
        found.append((now() - started) / batches)
    return middle(found)


def main() -> None:
    """Measure, print, and write ``results/parts-cpu.json``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--networks", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--minutes", type=float, default=8.0, help="no method begins after so long")
    parser.add_argument("--out", type=Path, help="the file to write")
    chosen = parser.parse_args()
    device = torch.device("cpu")
    keep_freed_memory()
    file: Path = chosen.out or RESULTS / "parts-cpu.json"
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for network in chosen.networks:
            data = batch_seconds(network, device)
            for method in METHODS:
                if time.perf_counter() - began > 60 * chosen.minutes:
                    print(f"{network} {method}: left out, the time is over", file=sys.stderr)
                    continue
                found = shares(network, method, device, Path(folder), fast=True)
                share = data["median"] / found["seconds"]["median"]
                entry = {"network": network, "method": method, **machine(device, "torch"), **surroundings(), **found}
                entry |= {"batch_seconds": data, "data_share": share, "data_at_most": DATA_AT_MOST}
                merge(file, {"benchmark": "parts"}, {f"{network} {method}": entry})
                text = ", ".join(f"{part} {100 * value['median']:.1f} %" for part, value in found["shares"].items())
                print(f"{network} {method}: {text}; getting a batch {100 * share:.2f} % of a step", flush=True)
    print(file, file=sys.stderr)


if __name__ == "__main__":
    main()
