"""Measures attacks: each one, by the evaluator of real runs, on images that no attack breaks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor, nn

from harness.evaluator import FEW_PASSES, evaluate
from harness.execution.bench_items import FEWEST, MOST_REPEATS, Item, forget_peak, images_together, peak_bytes
from harness.execution.peak import Arithmetic
from harness.execution.rates import time_passes
from harness.execution.stopwatch import Clock
from harness.planning.bench_job import BenchJob
from harness.planning.measured_times import Timed
from harness.plugin.attack import Passes
from harness.runtime.device import arithmetic
from harness.runtime.seeds import generator

_HELD = 1000  # the radius is divided by it, so that no image breaks, and an attack goes on to its end
_FEW = 8  # images of a block: with fewer, the search for faster layers counts for too much
_WHOLE = 0.98  # of the passes that an attack declares: with fewer it has stopped early


class AttackBench:
    """Measures each attack.

    Args:
        model: the network, untrained, on the device and in evaluation mode.
    """

    noun = "the attack"

    def __init__(self, job: BenchJob, model: nn.Module, counted: Arithmetic, clock: Clock) -> None:
        self._job, self._model, self._counted, self._clock = job, model, counted, clock
        threat = job.protocol.evaluation_threat
        self._passes = {name: attack.passes(threat) + Passes(1, 0) for name, attack in job.attacks.items()}
        self._threat = replace(threat, epsilon=threat.epsilon / _HELD, step_size=threat.step_size / _HELD)
        data = job.likeness.images(job.protocol.evaluation.block_size, job.device)
        self._x, self._blocks = data.pixels(data.test.images), 0
        with arithmetic(job.device, "float32"):
            self._rates = time_passes(model, self._x, plain=job.plain, clock=clock)

    def expected(self, name: str) -> Item:
        passes = self._passes[name]
        timed = Timed(seconds=self._rates.attack(passes), passes=passes, measured=False)
        return Item(name=name, timed=timed, operations=self._counted.crafting(passes))

    def measured(self, expected: Item, share: float, most: float, *, fewest: bool = False) -> Item:
        start, passes = self._clock(), expected.timed.passes
        least = FEWEST if fewest and not self._rates.attacked else _FEW
        images = images_together(len(self._x), least, expected.timed.seconds, self._rates.forward, share, most)
        if images is None:
            return expected
        with torch.no_grad():
            y = self._model(self._x[:images]).argmax(1)
        forget_peak(self._job.device)
        each_s: list[float] = []
        passed = 0
        while not each_s or (len(each_s) < MOST_REPEATS and self._clock() + images * each_s[-1] < start + share):
            try:
                seconds, passed = self._block(expected.name, y)
            except (
                ModuleNotFoundError
            ):  # a bare machine may lack the package of an attack; it is worth a bench as it is
                return expected
            each_s.append(seconds / images)
        # an attack that stopped early is scaled up to its end: an image that holds is what is asked for
        part = passed / (images * passes.forward)
        scale = 1 / part if 0 < part < _WHOLE else 1.0
        timed = replace(expected.timed, seconds=scale * median(each_s), measured=scale == 1.0)
        if timed.measured and passes.total >= FEW_PASSES:
            self._rates.learn_attack(timed.seconds, passes)
        memory = peak_bytes(self._job.device)
        return replace(expected, timed=timed, images=images, each_s=tuple(scale * s for s in each_s), peak_bytes=memory)

    def _block(self, name: str, y: Tensor) -> tuple[float, int]:
        """Attack a block of the first images, with the labels that the network gives them.

        Each block has a radius of its own, if only by a thousandth: AutoAttack may know what it has found in the same.

        Returns:
            Seconds, and how many images went through the network.
        """
        draws = generator(self._job.device, 0, "evaluation", name, 0)
        faster = None if self._job.plain else self._model
        self._blocks += 1
        threat = replace(self._threat, epsilon=self._threat.epsilon * (1 - self._blocks / 1000))
        with _forward_images(self._model) as counted:
            begun = self._clock()
            evaluate(self._model, self._job.attacks[name], self._x[: len(y)], y, threat, draws, faster=faster)
            return self._clock() - begun, counted[0]


@contextmanager
def _forward_images(model: nn.Module) -> Iterator[list[int]]:
    """Counts the images that go through the network in the body."""
    count = [0]

    def hear(_model: nn.Module, _inputs: object, logits: Tensor) -> None:
        count[0] += len(logits)

    hook = model.register_forward_hook(hear)
    try:
        yield count
    finally:
        hook.remove()
