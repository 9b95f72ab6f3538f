"""What the averages of weights share: what is averaged, since when, and what checkpoints then hold."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from harness.plugin.method import Step
from harness.plugin.wrapper import Wrapper

Statistics = Literal["own", "averaged"]


@dataclass(frozen=True, kw_only=True)
class Average(Wrapper):
    """Publish an average of the weights. The training itself is unchanged.

    A subclass has the settings ``start``, a fraction of the training, and ``statistics``, and writes ``_kept``. Before
    ``start`` the average is the weights themselves.
    """

    publishes_its_own = True

    start: float
    statistics: Statistics

    @abstractmethod
    def _kept(self, t: int) -> float:
        """The share of the average that the t-th update since ``start`` keeps, t from 1."""

    def prepare(self, model: nn.Module) -> None:
        self.memory["updates"], self.memory["progress"] = 0, 0.0
        self.memory["average"] = {name: tensor.detach().clone() for name, tensor in self._averaged(model)}

    def adapt(self, step: Step) -> Step:
        self.memory["progress"] = step.progress
        return step

    @torch.no_grad()
    def after(self, model: nn.Module) -> None:
        kept = 0.0
        if self.memory["progress"] >= self.start:
            self.memory["updates"] += 1
            kept = self._kept(self.memory["updates"])
        for name, tensor in self._averaged(model):
            self.memory["average"][name].lerp_(tensor, 1 - kept)

    def published(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        average: dict[str, Tensor] = self.memory["average"]
        return weights | average

    def _averaged(self, model: nn.Module) -> Iterator[tuple[str, Tensor]]:
        """Every parameter with every name: one that two layers share has two names, and is published under both."""
        yield from model.named_parameters(remove_duplicate=False)
        if self.statistics == "averaged":
            saved = model.state_dict().keys()
            for name, buffer in model.named_buffers(remove_duplicate=False):
                if name in saved and buffer.is_floating_point():
                    yield name, buffer
