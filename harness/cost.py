"""What work costs: passes through the network, counted, and seconds, from what this machine has timed before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from harness.attack import Passes
from harness.method import Method, Step
from harness.plugins import Catalogue
from harness.protocol import TrainProtocol
from harness.seeds import generator
from harness.settings import Plugin
from harness.store.records import RunRecord
from harness.threat import Threat

_PROBE = 2  # images


class _Counting(nn.Module):
    """A small linear network that counts the images that pass through it, forward and backward."""

    def __init__(self, pixels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(pixels, classes)
        self.forwards = self.backwards = 0

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x.flatten(1))
        self.forwards += len(x)
        if logits.requires_grad:
            logits.register_hook(self._backward)  # type: ignore[no-untyped-call]
        return logits

    def _backward(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


def training_passes(method: Method, threat: Threat) -> Passes:
    """Passes for one training image, late in the training, counted on one batch through a counting network.

    Nothing is declared, so nothing can be declared wrongly: a new method's cost is known by running it.
    """
    cpu = torch.device("cpu")
    draws = generator(cpu, 0, "cost")
    x = torch.rand(_PROBE, 1, 2, 2, generator=draws)
    y = torch.tensor([0, 1])
    with torch.random.fork_rng(devices=[]):
        model = _Counting(pixels=4, classes=4)
    method.loss(Step(x, y, model, threat, 0.99, draws, lambda _name, _value: None)).backward()  # type: ignore[no-untyped-call]
    return Passes(model.forwards / _PROBE, model.backwards / _PROBE)


@dataclass(frozen=True)
class Timings:
    """Seconds that one image took on this machine, on one network; None where it was never timed."""

    training_pass: float | None  # a forward or a backward pass of the training
    attacks: dict[str, float]  # a whole attack on one image, by its name

    def training(self, passes: Passes) -> float | None:
        """Seconds of one worker for that many training passes."""
        return None if self.training_pass is None else self.training_pass * passes.total

    def attack(self, name: str, images: int, passes: Passes) -> float | None:
        """Seconds of one worker for an attack: as timed, or else by its passes, which is an upper bound."""
        if name in self.attacks:
            return images * self.attacks[name]
        return self.training(passes)


def timings(runs: Iterable[RunRecord], methods: Catalogue) -> Timings:
    """Read the timings of a network off runs of it on this machine, whatever their methods."""
    seconds = images = 0.0
    spent: dict[str, tuple[float, int]] = {}
    for run in runs:
        if run.method in methods.found and run.epochs:
            passes = _passes_of(run, methods.found[run.method].cls)
            seconds += sum(epoch.duration_s for epoch in run.epochs)
            images += sum(epoch.images for epoch in run.epochs) * passes.total
        for evaluation in (e for checkpoint in run.checkpoints for e in checkpoint.evaluations):
            before = spent.get(evaluation.attack, (0.0, 0))
            spent[evaluation.attack] = (before[0] + evaluation.duration_s, before[1] + evaluation.done)
    attacks = {name: total / done for name, (total, done) in spent.items() if done}
    return Timings(seconds / images if images else None, attacks)


def _passes_of(run: RunRecord, cls: type[Plugin]) -> Passes:
    training = dict(run.training)
    epsilon = float(training.pop("epsilon"))
    method = cast(Method, cls.from_mapping(run.method_settings))
    return training_passes(method, TrainProtocol.from_mapping(training).threat(epsilon))
