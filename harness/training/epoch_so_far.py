"""What an epoch has so far: its position, its sums, and its generators; a state within the epoch keeps them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import nn

from harness.fast.crafting import FastCrafter
from harness.plugin.adversary import Crafter
from harness.runtime.seeds import generator, global_states, put_global_states
from harness.training.batches import augmentation_draws
from harness.training.histograms import Histograms
from harness.training.means import Means

B = TypeVar("B")


class EpochSoFar:
    """An epoch that has begun, at first before its first update.

    Args:
        a_batch: how many updates each batch gets.
    Attributes:
        epoch: counted from 1.
        updates: how many are made.
        attack_draws: the generator of the attacks in the epoch.
        augmentation_draws: the generator that augments its images.
    """

    def __init__(self, device: torch.device, train_seed: int, epoch: int, a_batch: int = 1) -> None:
        self.epoch, self.updates, self.a_batch = epoch, 0, a_batch
        self.means, self.histograms = Means(device, a_batch), Histograms()
        self.attack_draws = generator(device, train_seed, "attack", epoch)
        self.augmentation_draws = augmentation_draws(device, train_seed, epoch)
        self._device, self._began = device, time.perf_counter()
        self._before_the_batch = self.augmentation_draws.get_state()

    @property
    def batches(self) -> int:
        """How many batches have had all their updates."""
        return self.updates // self.a_batch

    @property
    def turn(self) -> int:
        """How many updates the next batch, or the one at work, has had."""
        return self.updates % self.a_batch

    def in_turn(self, batches: Iterator[B]) -> Iterator[B]:
        """Each batch once for each update that it still gets; the caller counts the updates."""
        while True:
            if self.a_batch > 1:  # a training that resumes between two updates of a batch draws this batch again
                self._before_the_batch = self.augmentation_draws.get_state()
            batch = next(batches, None)
            if batch is None:
                return
            for _ in range(self.turn, self.a_batch):
                yield batch

    @property
    def duration_s(self) -> float:
        """The seconds of the epoch, those of an earlier start included."""
        return time.perf_counter() - self._began

    @contextlib.contextmanager
    def uncounted(self) -> Iterator[None]:
        """Leave the body out of the seconds of the epoch, and draws in it out of the global generators."""
        began, states = time.perf_counter(), global_states(self._device)
        try:
            yield
        finally:
            put_global_states(self._device, states)
            self._began += time.perf_counter() - began

    def state_dict(self, model: nn.Module, craft: Crafter) -> dict[str, Any]:
        """What goes on in another process to the last bit, besides weights and memories.

        The modes of the network's modules belong to it, since a wrapper may set them, and they begin anew only with an
        epoch.
        """
        return {
            "updates": self.updates,
            "duration_s": self.duration_s,
            "means": self.means.state_dict(),
            "histograms": self.histograms.state_dict(),
            "attack": self.attack_draws.get_state(),
            "augmentation": self._before_the_batch if self.turn else self.augmentation_draws.get_state(),
            "global": global_states(self._device),
            "modes": {name: module.training for name, module in model.named_modules()},
            "crafter": craft.state_dict() if isinstance(craft, FastCrafter) else {},
        }

    def load_state_dict(self, state: dict[str, Any], model: nn.Module, craft: Crafter) -> None:
        """Go on from what ``state_dict`` gave; the weights are restored already, and the global generators are ours."""
        self.updates = state["updates"]
        self._began = time.perf_counter() - state["duration_s"]
        self.means.load_state_dict(state["means"])
        self.histograms.load_state_dict(state["histograms"])
        self.attack_draws.set_state(state["attack"].cpu())
        self.augmentation_draws.set_state(state["augmentation"].cpu())
        put_global_states(self._device, state["global"])
        for name, module in model.named_modules():
            module.training = state["modes"].get(name, module.training)
        if isinstance(craft, FastCrafter):
            craft.load_state_dict(state["crafter"])
