"""What measures a network while it is trained."""

from __future__ import annotations

from typing import Protocol

from torch import nn

from harness.events import CurvePoint


class Recorder(Protocol):
    """Measures accuracies after some epochs. It gets a copy of the network, so that it cannot change the training."""

    def due(self, epoch: int) -> bool:
        """Whether it measures after this epoch, counted from 1."""

    def points(self, model: nn.Module, epoch: int) -> tuple[CurvePoint, ...]:
        """The accuracies of a network that holds the weights that a checkpoint after this epoch would hold."""
