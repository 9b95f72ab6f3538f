"""Crafting for a training step, with the network's faster layers."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harness.fast.folded import Folded
from harness.plugin.adversary import KL, CrossEntropy, Margin, Objective, Variant, ascend
from harness.plugin.threat import Threat

EVERY = 10  # calls: so often the faster layers are compared with the network's own
_KNOWN = (CrossEntropy, Margin, KL)  # another objective may look into the network, so it gets the network as it is

log = logging.getLogger("harness.training")


class FastCrafter:
    """``ascend`` on a network with faster layers, or on the network itself where they do not fit.

    It gives the variants of ``ascend`` but for rounding, which changes the sign of a gradient that is almost zero.
    """

    def __init__(self) -> None:
        self._folded: Folded | None = None
        self._calls = 0
        self._fits = False

    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        objectives: Sequence[Objective],
        threat: Threat,
        generator: torch.Generator,
    ) -> tuple[Variant, ...]:
        if not all(type(objective) in _KNOWN for objective in objectives) or not self._ready(model, x):
            return ascend(model, x, y, objectives, threat, generator)
        assert self._folded is not None
        with self._folded.put_in():
            return ascend(model, x, y, objectives, threat, generator)

    def _ready(self, model: nn.Module, x: Tensor) -> bool:
        if self._folded is None or self._folded.model is not model:
            self._folded, self._calls = Folded(model, x), 0
        if self._calls == 0 or (self._fits and self._calls % EVERY == 0):
            self._fits = self._folded.fits(x)
            if not self._fits:
                log.info("crafting is plain: this network cannot be computed with faster layers")
        self._calls += 1
        return self._fits
