"""Measures a network while it is trained, by the attacks and the evaluator of real evaluations."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from harness.errors import HarnessError, PluginError
from harness.evaluator import evaluate
from harness.events import CurvePoint, Part
from harness.planning.curve_plan import IMAGES, PARTS, CurveAttack, CurvePlan
from harness.plugin.attack import Attack
from harness.plugin.dataset import Dataset
from harness.plugin.images import Images
from harness.registry.catalogue import discover
from harness.registry.faults import blaming
from harness.registry.shipped import code_of
from harness.runtime.seeds import generator

log = logging.getLogger("harness.recording")


@dataclass
class CurveRecorder:
    """Runs the attacks of a plan on a copy of the network; see ``harness.training.recorder.Recorder``.

    The images and the random starts are the same after every epoch and in every training, so the points of two curves
    differ by the networks alone. A failure never fails the training: it is logged, and nothing more is measured.
    """

    plan: CurvePlan
    dataset: Dataset  # on the training's device
    plugins: tuple[Path, ...]
    plain: bool
    failed: bool = False

    def due(self, epoch: int) -> bool:
        return not self.failed and self.plan.due(epoch)

    def points(self, model: nn.Module, epoch: int) -> tuple[CurvePoint, ...]:
        try:
            model = model.eval().requires_grad_(False)
            return tuple(self._point(model, part, attack) for part in PARTS for attack in self.plan.attacks)
        except (HarnessError, torch.OutOfMemoryError) as error:
            log.warning("after epoch %d no accuracies are recorded any more: %s", epoch, error)
            self.failed = True
            return ()

    def _point(self, model: nn.Module, part: Part, used: CurveAttack) -> CurvePoint:
        cls = discover("attacks", self.plugins).get(used.name)
        if code_of(cls) != used.code:
            raise PluginError(f"the code of the attack {used.name!r} changed while the command ran")
        attack = cast(Attack, cls.from_mapping(used.settings))
        images, labels = self._sample(part)
        correct, started = 0, time.perf_counter()
        for start in range(0, len(labels), self.plan.block_size):
            block = slice(start, start + self.plan.block_size)
            draws = generator(labels.device, 0, "curve", part, used.name, start)
            with blaming([attack]):
                faster = None if self.plain else model
                verdicts = evaluate(model, attack, images[block], labels[block], self.plan.threat, draws, faster=faster)
            correct += int(verdicts.correct.sum())
        duration = time.perf_counter() - started
        return CurvePoint(part, used.name, used.identity, len(labels), correct, duration)

    def _sample(self, part: Part) -> tuple[Tensor, Tensor]:
        """Images and labels: the first ones of the balanced order, so that the test images are those of ``--limit``."""
        split = self.dataset.train if part == "train" else self.dataset.test
        images = Images(min(IMAGES, len(split)), "balanced")
        chosen = torch.tensor(images.places(split.labels.tolist()), device=split.labels.device)
        return self.dataset.pixels(split.images[chosen]), split.labels[chosen]
