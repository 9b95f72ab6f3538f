"""The harness's own sides: a training update as the trainer makes it, an attack as the evaluator judges it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from harness.attacks._fab_findings import findings
from harness.evaluator import evaluate
from harness.fast.crafting import FastCrafter, crafter_for
from harness.plugin.dataset import Augmentation, Dataset, Split
from harness.plugin.method import Step
from harness.plugin.network import Network, Shape
from harness.plugin.threat import Threat
from harness.protocols.protocol import Protocol, load_protocol
from harness.protocols.run_spec import RunSpec
from harness.registry.catalogue import discover
from harness.runtime.precision import Precision
from harness.runtime.seeds import generator
from harness.training.loop import Trainer, initial_model
from harness.training.means import Means

NONE = Augmentation()
METHODS = ("sat", "gairat", "trades", "lrat")


@cache
def made(kind: str, name: str) -> Any:
    """A plugin with its defaults, as the registry finds it: only then does it count as one that ships."""
    return discover(kind).get(name)()


@dataclass(frozen=True)
class Setting:
    """A network, the shape of its images, its protocol, the batch of a step, and the training images of an epoch."""

    name: str
    shape: Shape
    protocol: Protocol
    batch: int
    images: int
    augmentation: Augmentation = NONE

    @property
    def network(self) -> Network:
        """The network's plugin."""
        return cast(Network, made("networks", self.name))

    @property
    def training_threat(self) -> Threat:
        """The budget of the attack in training."""
        return self.protocol.train.threat(self.protocol.epsilon)

    @property
    def evaluation_threat(self) -> Threat:
        """The budget of the attacks in an evaluation."""
        return self.protocol.evaluation_threat

    def model(self, device: torch.device) -> nn.Module:
        """A new untrained network, the same at each call."""
        return initial_model(self.network, self.shape, 0).to(device)

    def examples(self, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Random images in [0, 1] and labels: what is in an image does not change the time of a pass."""
        draws, shape = torch.Generator().manual_seed(0), self.shape
        x = torch.rand(count, shape.channels, shape.height, shape.width, generator=draws)
        return x.to(device), torch.randint(shape.classes, (count,), generator=draws).to(device)

    def dataset(self, device: torch.device, images: int | None = None) -> Dataset:
        """A data set of random images with this shape, so that no download is needed."""
        draws, shape = torch.Generator().manual_seed(0), self.shape
        size = (images or self.images, shape.channels, shape.height, shape.width)
        pixels = torch.randint(256, size, generator=draws, dtype=torch.uint8)
        part = Split(pixels, torch.randint(shape.classes, (len(pixels),), generator=draws))
        classes = tuple(map(str, range(shape.classes)))
        return Dataset("random", part, part, classes, augmentation=self.augmentation).to(device)


SETTINGS = {
    "smallcnn": Setting("smallcnn", Shape(1, 8, 8, 10), load_protocol("digits"), batch=128, images=1437),
    "resnet18": Setting(
        "resnet18",
        Shape(3, 32, 32, 10),
        load_protocol("paper"),
        batch=16,
        images=50_000,
        augmentation=Augmentation(4, True),
    ),
}


class Training:
    """The training of one network, update by update: everything that the trainer does for a batch.

    Args:
        fast: whether crafting goes through faster layers, as by default; False is ``--plain``.
    """

    def __init__(
        self,
        setting: Setting,
        method: str,
        device: torch.device,
        folder: Path,
        *,
        fast: bool,
        precision: Precision = "float32",
    ) -> None:
        network, plugin = setting.network, made("methods", method)
        training = setting.protocol.training_document | {"batch_size": setting.batch, "precision": precision}
        settings = plugin.resolved(), network.resolved()
        spec = RunSpec(
            method=method,
            method_settings=settings[0],
            network=network.name,
            network_settings=settings[1],
            dataset="random",
            dataset_fingerprint="random",
            training=training,
            train_seed=0,
        )
        craft = crafter_for(plain=not fast)
        self.trainer = Trainer(spec, 0, plugin, network, setting.dataset(device, setting.batch), folder, (), craft)
        self.trainer.begin()
        self.threat, self.craft = self.trainer.threat, craft
        if isinstance(craft, FastCrafter):
            craft.begin(epoch=2)  # in the first, the faster layers are compared with the network's own more often
        self.trainer.model.train()
        self.draws, self.means = generator(device, 0, "benchmark"), Means(device)

    @property
    def model(self) -> nn.Module:
        """The network that is trained."""
        return self.trainer.model

    def update(self, x: Tensor, y: Tensor) -> None:
        """One update; ``progress`` is past the burn-in of every method."""
        step = Step(x, y, self.model, self.threat, 0.9, self.draws, self.means.add, craft=self.craft)
        self.means.add_loss(self.trainer._update(step))


def verdicts(
    model: nn.Module, attack: str, x: Tensor, y: Tensor, threat: Threat, *, fast: bool, seed: int = 0
) -> Tensor:
    """``(batch,)`` bool: right under the attack, as the evaluator judges one block, with nothing found before."""
    findings.forget()
    draws = generator(x.device, seed, attack)
    return evaluate(model, made("attacks", attack), x, y, threat, draws, faster=model if fast else None).correct


def in_blocks(
    model: nn.Module,
    attacks: Sequence[str],
    x: Tensor,
    y: Tensor,
    threat: Threat,
    block: int,
    *,
    seeds: int = 1,
    steps: int | None = None,
) -> int:
    """Attack all images, block by block, with each attack and each seed; gives how many verdicts are right."""
    threat = replace(threat, steps=steps or threat.steps)
    right = 0
    for attack in attacks:
        for seed in range(seeds):
            for images, labels in zip(torch.split(x, block), torch.split(y, block), strict=True):
                right += int(verdicts(model, attack, images, labels, threat, fast=True, seed=seed).sum())
    return right
