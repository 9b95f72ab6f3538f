"""Trainings that tests do in one process and in several, and what each of them gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from harness.fast.crafting import FastCrafter
from harness.networks.smallcnn import SmallCNN
from harness.plugin.adversary import Crafter, ascend
from harness.plugin.dataset import Augmentation
from harness.plugin.method import Method, Step
from harness.plugin.network import Network, Shape
from harness.registry.catalogue import discover
from harness.registry.shipped import ships
from harness.training.given_networks import give_stand_ins
from harness.training.loop import Trainer
from harness.training.together.peers import Peers
from harness.wrappers.awp import AWP
from harness.wrappers.ema import EMA
from tests.harness.training.given import dataset, spec

METHODS = sorted(name for name, found in discover("methods").found.items() if ships(found.cls))
IMAGES = 19  # batches of 16 and 3, so that one of two processes has one image more, and one of four has none
EPOCHS = 2
BATCHES = 2  # of an epoch
UPDATES = BATCHES * EPOCHS  # of a method that takes one a batch
SETTINGS: dict[str, dict[str, Any]] = {"free": {"replays": 3}}


class InFloat64(nn.Module):
    """A network that computes in float64, so that nothing but a fault changes the direction of an attack's step."""

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.own = own.double()

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.own(x.double()))


@dataclass(frozen=True, kw_only=True)
class Precise(Network):
    """``SmallCNN`` in float64."""

    name = "precise"

    def build(self, shape: Shape) -> nn.Module:
        return InFloat64(SmallCNN(width=4).build(shape))


@dataclass(frozen=True)
class Kind:
    """What is trained, and how."""

    method: str
    wrapped: bool
    network: Network = field(default_factory=lambda: SmallCNN(width=4))
    faster: bool = False
    epochs: int = EPOCHS

    def __str__(self) -> str:
        return f"{self.method}{' with AWP and EMA' if self.wrapped else ''}"

    @property
    def updates(self) -> int:
        """Of the whole training."""
        return BATCHES * self.epochs * self.trained().updates_a_batch

    def trained(self) -> Method:
        """The method, new."""
        return cast(Method, discover("methods").get(self.method).from_mapping(SETTINGS.get(self.method, {})))

    def trainer(self, folder: Path, cls: type[Trainer] = Trainer, **how: Any) -> Trainer:
        """A trainer as a new process has it."""
        folder.mkdir(parents=True, exist_ok=True)
        data = dataset(IMAGES, augmentation=Augmentation(crop_padding=1, flip=True))
        method = self.trained()
        give_stand_ins(method, lambda: self.network.build(data.shape))
        wrappers = [AWP(), EMA()] if self.wrapped else []
        craft: Crafter = FastCrafter() if self.faster else ascend
        return cls(spec(data, self.epochs), 1, method, self.network, data, folder, wrappers, craft, **how)


def kinds(network: Network, wrapped: bool, epochs: int = EPOCHS) -> list[Kind]:
    """Every method that ships, without wrappers or with AWP and EMA."""
    return [Kind(method, wrapped, network, epochs=epochs) for method in METHODS]


@dataclass
class Course:
    """The loss of every update of a training, and the weights at its end."""

    losses: list[float]
    weights: dict[str, Tensor]

    def apart(self, other: Course) -> float:
        """The largest difference of a loss, or of a weight."""
        assert len(self.losses) == len(other.losses)
        losses = [abs(one - two) for one, two in zip(self.losses, other.losses, strict=True)]
        return max(
            *losses, *(float((self.weights[n].double() - w.double()).abs().max()) for n, w in other.weights.items())
        )


def course(peers: Peers, kind: Kind, folder: Path) -> Course:
    """Train to the end."""
    losses: list[float] = []

    class Listening(Trainer):
        def _update(self, step: Step) -> Tensor:
            losses.append(float(super()._update(step)))
            return torch.tensor(losses[-1])

    trainer = kind.trainer(folder, Listening, peers=peers)
    trainer.fit(lambda event: None)
    return Course(losses, {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()})


def courses(peers: Peers, asked: list[Kind], folder: Path) -> list[Course]:
    """Train each to the end."""
    return [course(peers, kind, folder / f"{number}") for number, kind in enumerate(asked)]
