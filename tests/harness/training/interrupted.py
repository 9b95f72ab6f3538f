"""Small trainings of many kinds, what each leaves in the end, and ways to stop them at an update."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.errors import TrainingStopped
from harness.events import CheckpointDone, EpochDone, Event
from harness.fast.crafting import FastCrafter
from harness.methods.gairat import GAIRAT
from harness.methods.lrat import LRAT
from harness.methods.sat import SAT
from harness.methods.trades import TRADES
from harness.networks.smallcnn import SmallCNN
from harness.plugin.adversary import Crafter, ascend
from harness.plugin.dataset import Augmentation
from harness.plugin.method import Method, Step
from harness.plugin.network import Network, Shape
from harness.plugin.wrapper import Wrapper
from harness.runtime.stopping import ask_to_stop, take_back_stop
from harness.training.loop import Trainer
from harness.training.state_file import STATE_FILE, read_state
from harness.wrappers.awp import AWP
from harness.wrappers.ema import EMA
from tests.harness.training.given import dataset, spec

EPOCHS, BATCHES = 2, 4  # 50 images, 16 at a time
UPDATES = range(1, EPOCHS * BATCHES + 1)


@dataclass(frozen=True, kw_only=True)
class Drawing(Network):
    """Draws from the global generators of torch, numpy, and Python, also normal numbers, which come in pairs."""

    name = "drawing"

    def build(self, shape: Shape) -> nn.Module:
        class Noise(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                drawn = random.gauss(0, 1) + float(np.random.randn()) + random.random() + float(np.random.rand())
                return x * (1 + 0.1 * drawn) if self.training else x

        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), Noise(), nn.Dropout(0.5), nn.Linear(8, shape.classes))


@dataclass(frozen=True, kw_only=True)
class Remembering(SAT):
    """Has a memory of each kind, draws from the attacks' generator, and logs and counts only in some updates."""

    name = "remembering"

    def prepare(self, model: nn.Module) -> None:
        self.memory.update(seen=0, losses=[], mean=torch.ones(()), teacher=nn.Linear(64, 4).requires_grad_(False))

    def loss(self, step: Step) -> Tensor:
        self.memory["seen"] += 1
        noise = 0.01 * torch.randn(step.x.shape, generator=step.generator)
        teacher: Tensor = self.memory["teacher"](step.x.flatten(1))
        loss = super().loss(step) * self.memory["mean"] + (step.model(step.x + noise) - teacher).square().mean()
        value = loss.detach()
        with torch.no_grad():
            self.memory["teacher"].weight.add_(0.01 * value)
        self.memory["losses"] = [*self.memory["losses"][-2:], float(value)]
        self.memory["mean"] = 0.5 * self.memory["mean"] + 0.5 * value.clamp(max=1)
        if self.memory["seen"] % 3 == 1:
            step.log("seldom", value.double())
            step.count("seen", step.y.double(), low=0, high=4, bins=4)
        total: Tensor = loss
        return total


@dataclass(frozen=True, kw_only=True)
class Freezing(Wrapper):
    """From its third update on, the first layer is frozen and the batch-norms stay as they are."""

    name = "freezing"

    def prepare(self, model: nn.Module) -> None:
        self.memory["updates"] = 0

    def after(self, model: nn.Module) -> None:
        self.memory["updates"] += 1
        if self.memory["updates"] == 3:
            next(model.parameters()).requires_grad_(False)
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()


@dataclass(frozen=True, kw_only=True)
class Stages(SAT):
    """Sets a number of the network in every third of an epoch, so that it is traced anew; the pass does not read it."""

    name = "stages"

    def loss(self, step: Step) -> Tensor:
        step.model.stage = int(6 * step.progress)  # type: ignore[assignment]
        return super().loss(step)


@dataclass(frozen=True)
class Case:
    """A training: what is trained, how, and on what."""

    method: Callable[[], Method] = SAT
    wrappers: Callable[[], Sequence[Wrapper]] = tuple
    network: Network = field(default_factory=lambda: SmallCNN(width=2))
    augmentation: Augmentation = field(default_factory=Augmentation)
    precision: str = "float32"
    craft: Callable[[], Crafter] = lambda: ascend
    size: int = 8  # of an image
    images: int = 50  # held out ones included
    training: dict[str, Any] = field(default_factory=dict)  # of the protocol

    def trainer(self, folder: Path, kind: type[Trainer] = Trainer, **how: Any) -> Trainer:
        """A trainer as a new process has it."""
        folder.mkdir(exist_ok=True)
        data = dataset(self.images, self.size, self.augmentation)
        if "extra" in self.training:
            data = replace(data, extra=dataset(30, self.size).test)
        asked, plugins = spec(data, EPOCHS, precision=self.precision), list(self.wrappers())
        asked = replace(asked, training=asked.training | self.training)
        return kind(asked, 1, self.method(), self.network, data, folder, plugins, self.craft(), **how)


FLIPS = Augmentation(crop_padding=1, flip=True)
CASES = {
    "augmented": Case(augmentation=FLIPS),
    "awp and ema": Case(wrappers=lambda: [AWP(), EMA()], augmentation=FLIPS),
    "images held out": Case(wrappers=lambda: [EMA()], augmentation=FLIPS, training={"validation": 8}, images=58),
    "mixed and generated": Case(
        method=TRADES,
        augmentation=FLIPS,
        training={"augment": ["cutout", "cutmix"], "cutout_length": 3, "extra": "0" * 64, "extra_fraction": 0.4},
    ),
    "a policy": Case(augmentation=FLIPS, size=16, training={"augment": ["autoaugment"]}),
    "drawing": Case(network=Drawing(), augmentation=FLIPS),
    "burn-in and histograms": Case(method=lambda: GAIRAT(burn_in=0.6)),
    "several objectives": Case(method=LRAT, wrappers=lambda: [EMA()], augmentation=FLIPS),
    "memory": Case(method=Remembering, wrappers=lambda: [AWP(warm_up=0.3)]),
    "frozen on the way": Case(wrappers=lambda: [Freezing()]),
    "faster layers": Case(network=SmallCNN(width=8), precision="bfloat16", craft=FastCrafter, size=12),
    "faster layers, traced anew": Case(
        Stages, network=SmallCNN(width=8), precision="bfloat16", craft=FastCrafter, size=12
    ),
}


@dataclass
class Left:
    """What a training leaves: its records and checkpoints as they were reported, and its last state."""

    records: dict[int, Any]
    checkpoints: dict[str, tuple[int, str]]
    state: dict[str, Any]
    durations: list[float]

    def differences(self, other: Left) -> list[str]:
        """Where two trainings differ, but for their durations; empty if they are equal to the last bit."""
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in ("records", "checkpoints", "state")}
        return [at for name, (one, two) in pairs.items() for at in _apart(one, two, name)]


def left_by(folder: Path, events: Sequence[Event]) -> Left:
    """What the events and the folder of a finished training say."""
    records = {e.record.epoch: e.record for e in events if isinstance(e, EpochDone)}
    state: dict[str, Any] = torch.load(io.BytesIO(read_state(folder / STATE_FILE)), weights_only=True)
    state["records"] = [record | {"duration_s": 0.0} for record in state["records"]]
    return Left(
        records={epoch: replace(record, duration_s=0.0) for epoch, record in records.items()},
        checkpoints={e.name: (e.epoch, e.sha256) for e in events if isinstance(e, CheckpointDone)},
        state=state,
        durations=[record.duration_s for _, record in sorted(records.items())],
    )


def fitted(trainer: Trainer) -> Left:
    """Train to the end."""
    events: list[Event] = []
    trainer.fit(events.append)
    return left_by(trainer.directory, events)


def _apart(one: Any, two: Any, at: str) -> list[str]:
    if isinstance(one, Tensor):
        same = isinstance(two, Tensor) and one.dtype == two.dtype and torch.equal(one, two)
        return [] if same else [at]
    if type(one) is not type(two):
        return [at]
    if isinstance(one, dict):
        if list(one) != list(two):
            return [f"{at}: {list(one)} and {list(two)}"]
        return [where for key in one for where in _apart(one[key], two[key], f"{at}.{key}")]
    if isinstance(one, (list, tuple)) and len(one) == len(two):
        return [where for i, (a, b) in enumerate(zip(one, two, strict=True)) for where in _apart(a, b, f"{at}[{i}]")]
    return [] if one == two else [at]


class Interrupted(Trainer):
    """Dies in an update of this process, before it is made."""

    dies_at = 0
    made = 0

    def _update(self, step: Step) -> Tensor:
        self.made += 1
        if self.made == self.dies_at:
            raise KeyboardInterrupt
        return super()._update(step)


class Asked(Trainer):
    """Is asked to stop in an update of this process."""

    at = 1
    made = 0

    def _update(self, step: Step) -> Tensor:
        self.made += 1
        if self.made == self.at:
            ask_to_stop()
        return super()._update(step)


def die(case: Case, folder: Path, at: int, **how: Any) -> None:
    trainer = case.trainer(folder, Interrupted, **how)
    trainer.dies_at = at  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(lambda event: None)


def stop(case: Case, folder: Path, at: int, **how: Any) -> TrainingStopped:
    trainer = case.trainer(folder, Asked, **how)
    trainer.at = at  # type: ignore[attr-defined]
    with pytest.raises(TrainingStopped) as told:
        trainer.fit(lambda event: None)
    take_back_stop()
    return told.value
