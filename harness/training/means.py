"""Means over an epoch, and the first loss that is not finite; both stay on the device until they are read."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.errors import TrainingFailed


class Means:
    """Means over an epoch's updates, summed on the device, so that adding a value does not wait for the device.

    Args:
        updates_a_batch: how many updates each batch gets, so that the batch of a bad loss can be told.
    """

    def __init__(self, device: torch.device, updates_a_batch: int = 1) -> None:
        self._updates_a_batch = updates_a_batch
        self._sums: dict[str, tuple[Tensor, int]] = {}
        self._loss = torch.zeros((), device=device)
        self._updates = 0
        self._first_bad = torch.zeros((), dtype=torch.int64, device=device)  # 0: none

    def add(self, name: str, value: Tensor) -> None:
        """Add one update's value of a diagnostic."""
        name = str.__str__(name)  # a member of an enumeration of texts could not be read from a saved state
        total, count = self._sums.get(name, (torch.zeros_like(self._loss), 0))
        self._sums[name] = (total + value.detach(), count + 1)

    def add_loss(self, loss: Tensor) -> None:
        """Add one update's loss; remember the first update whose loss is not finite."""
        self._updates += 1
        fresh = ~loss.isfinite() & (self._first_bad == 0)
        self._first_bad = torch.where(fresh, self._updates, self._first_bad)
        self._loss = self._loss + loss

    def raise_if_not_finite(self, epoch: int) -> None:
        """Raise TrainingFailed if a loss was not finite. Waits for the device."""
        first = int(self._first_bad)
        if first:
            raise TrainingFailed("the loss is not finite", epoch, (first - 1) // self._updates_a_batch + 1)

    def loss(self) -> float:
        """The mean loss so far. Waits for the device."""
        return float(self._loss) / self._updates

    def read(self) -> dict[str, float]:
        """The means of the diagnostics. Waits for the device."""
        return {name: float(total) / count for name, (total, count) in self._sums.items()}

    def state_dict(self) -> dict[str, Any]:
        """The sums so far, for ``load_state_dict`` in another process."""
        return {"sums": self._sums, "loss": self._loss, "batches": self._updates, "first bad": self._first_bad}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the sums of an earlier start."""
        self._sums, self._updates = dict(state["sums"]), state["batches"]
        self._loss, self._first_bad = state["loss"], state["first bad"]
