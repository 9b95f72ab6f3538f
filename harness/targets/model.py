"""The model to attack: any process can build it, the same to the last bit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from harness.identity import digest
from harness.plugin.network import Shape
from harness.protocols.run_spec import RunSpec
from harness.targets.prepared import Prepared
from harness.targets.probe import Probe
from harness.targets.target import Target
from harness.targets.weights import FileTarget
from harness.training.checkpoints import load_weights
from harness.training.loop import initial_model
from harness.training.run_plugins import network_of


@dataclass(frozen=True, kw_only=True)
class Weights(ABC):
    """A model, as plain data.

    Attributes:
        label, checkpoint: the model's name in progress lines.
        sha256: identifies its weights; if they have changed, ``model`` raises a HarnessError.
    """

    label: str
    checkpoint: str
    sha256: str

    @property
    def key(self) -> str:
        """Equal for weights that give the same model."""
        return self.sha256

    @abstractmethod
    def model(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        """The model on the CPU: images in [0, 1] to logits."""

    def network_in(self, model: nn.Module) -> nn.Module | None:
        """The network in a model that was built of a plugin, whose layers can be known; None if there is none."""
        return model

    @abstractmethod
    def check(self, plugins: tuple[Path, ...]) -> None:
        """Raise HarnessError if the weights are gone or changed, or belong to other code than today's."""


@dataclass(frozen=True, kw_only=True)
class RunWeights(Weights):
    """A checkpoint of a run."""

    spec: RunSpec
    file: Path

    def model(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        model = initial_model(network_of(self.spec, plugins), shape, self.spec.train_seed)
        model.load_state_dict(load_weights(self.file, self.sha256))
        return model

    def check(self, plugins: tuple[Path, ...]) -> None:
        network_of(self.spec, plugins)
        load_weights(self.file, self.sha256)


@dataclass(frozen=True, kw_only=True)
class ElsewhereWeights(Weights):
    """A model from elsewhere."""

    target: Target
    probe: Probe | None = None  # its answers when it was opened, if its tensors and source do not identify it

    @cached_property
    def key(self) -> str:  # the probe may be long
        return self.sha256 if self.probe is None else digest([self.sha256, self.probe])

    def model(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        return self.target.verified(shape, plugins, self.sha256, self.probe)

    def network_in(self, model: nn.Module) -> nn.Module | None:
        """The network of a weights file. A model of the user's own code is attacked as it is."""
        return model.network if isinstance(model, Prepared) and isinstance(self.target, FileTarget) else None

    def check(self, plugins: tuple[Path, ...]) -> None:
        """Nothing to check: the command itself has just opened the model."""
