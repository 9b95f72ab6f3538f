"""Seconds of a pass of one image: measured once, and corrected by every step and attack that is measured."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from harness.execution.stopwatch import CRAFTING, Clock
from harness.fast.folded import Folded
from harness.plugin.attack import Passes

_LONG_S = 0.5  # of a forward pass and one with a gradient: timed once
_ENOUGH_S = 0.03  # of a forward pass: then more images at once would hardly be faster


@dataclass
class Rates:
    """Seconds of one image's forward pass, and of a backward pass to the image.

    What was measured counts: for a step's crafting and its rest apart, for attacks with and without gradients apart.
    """

    forward: float
    backward: float
    _crafting: list[tuple[float, float]] = field(default_factory=list)  # seconds, passes
    _rest: list[tuple[float, float]] = field(default_factory=list)
    _attacks: list[tuple[float, Passes]] = field(default_factory=list)

    @property
    def crafted(self) -> bool:
        """Whether a step with crafting was measured."""
        return bool(self._crafting)

    @property
    def attacked(self) -> bool:
        """Whether an attack with gradients was measured."""
        return any(passes.backward for _, passes in self._attacks)

    def step(self, crafting: Passes, update: Passes) -> float:
        """Seconds of a training step an image. A backward pass to the weights is taken for two to the image."""
        rest = _ratio(self._rest)
        own = update.forward * self.forward + 2 * update.backward * self.backward
        crafted = _ratio(self._crafting)
        by_pass = crafting.forward * self.forward + crafting.backward * self.backward
        return (by_pass if crafted is None else crafted * crafting.total) + (
            own if rest is None else rest * update.total
        )

    def learn_step(self, seconds: float, shares: dict[str, float], crafting: Passes, update: Passes) -> None:
        """Take note of a measured step."""
        if crafting.total:
            self._crafting.append((shares[CRAFTING] * seconds, crafting.total))
        self._rest.append(((1 - shares[CRAFTING]) * seconds, update.total))

    def attack(self, passes: Passes) -> float:
        """Seconds of an attack an image."""
        forward, backward = self._of_attacks()
        return passes.forward * forward + passes.backward * backward

    def learn_attack(self, seconds: float, passes: Passes) -> None:
        """Take note of a measured attack."""
        self._attacks.append((seconds, passes))

    def _of_attacks(self) -> tuple[float, float]:
        forward = _ratio([(s, p.forward) for s, p in self._attacks if not p.backward]) or self.forward
        rest = _ratio([(s - p.forward * forward, p.backward) for s, p in self._attacks if p.backward])
        return forward, self.backward if rest is None else max(rest, forward / 2)


def _ratio(pairs: list[tuple[float, float]]) -> float | None:
    """Seconds a pass over all that was measured; None if nothing was."""
    return sum(s for s, _ in pairs) / sum(n for _, n in pairs) if pairs else None


def time_passes(model: nn.Module, x: Tensor, *, plain: bool, clock: Clock = time.perf_counter) -> Rates:
    """Time a forward pass, and one with a gradient of the images, of as few images as tell something.

    Args:
        model: in evaluation mode.
        x: ``(batch, channels, height, width)`` images; 4 of them, 8, and so on until a pass takes long enough.
        plain: whether with the network's own layers alone; else with faster ones, as crafting and attacks do.
    """
    folded = None if plain else Folded(model, x)
    with folded.put_in() if folded is not None and folded.fits(x) else contextlib.nullcontext():
        return _time_passes(model, x, clock)


def _time_passes(model: nn.Module, x: Tensor, clock: Clock) -> Rates:
    slow = sum(_passes(model, x[:1], clock)) > _LONG_S / 2  # then a few images are enough, and are passed once
    images = min(2 if slow else 4, len(x))
    while True:
        some = x[:images]
        if not slow:
            _passes(model, some, clock)  # prepares
        forward, both = _passes(model, some, clock)
        if forward + both < _LONG_S:
            again = _passes(model, some, clock)
            forward, both = min(forward, again[0]), min(both, again[1])
        if slow or forward >= _ENOUGH_S or images == len(x):
            return Rates(max(forward, 1e-9) / images, max(both - forward, forward / 2, 1e-9) / images)
        images = min(2 * images, len(x))


def _passes(model: nn.Module, x: Tensor, clock: Clock) -> tuple[float, float]:
    start = clock()
    with torch.no_grad():
        model(x).sum().item()  # waits for the device
    middle = clock()
    inputs = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(model(inputs).sum(), inputs)
    gradient.sum().item()
    return middle - start, clock() - middle
