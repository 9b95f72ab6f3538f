"""Histograms over an epoch, counted on the device, so that counting does not wait for the device."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from harness.events import Histogram
from harness.plugin.method import Bins

log = logging.getLogger("harness.training")


class OtherBins(Exception):
    """A name was counted in other bins before."""


class Histograms:
    """Histograms of what a method counts in an epoch, by name."""

    def __init__(self) -> None:
        self._counted: dict[str, tuple[Bins, Tensor, Tensor]] = {}  # bins, inner edges, counts, of NaN last
        self._earlier: dict[str, tuple[Bins, Tensor]] = {}  # bins and counts of an earlier start

    def add(self, name: str, values: Tensor, bins: Bins) -> None:
        """Count one batch's values, in no bin those that are NaN.

        Raises:
            OtherBins: the name was counted in other bins before.
        """
        name, bins = str.__str__(name), _plain(bins)
        if name not in self._counted:
            edges = torch.linspace(bins.low, bins.high, bins.number + 1, dtype=torch.float64, device=values.device)
            counts = torch.zeros(bins.number + 1, dtype=torch.int64, device=values.device)
            known, earlier = self._earlier.pop(name, (bins, counts))
            if bins != known:
                raise OtherBins
            self._counted[name] = bins, edges[1:-1].contiguous(), counts.copy_(earlier)
        known, inner, counts = self._counted[name]
        if bins != known:
            raise OtherBins
        numbers = values.detach().double()
        places = torch.where(numbers.isnan(), bins.number, torch.bucketize(numbers, inner, right=True))
        counts.index_add_(0, places, torch.ones_like(places))

    def read(self) -> tuple[Histogram, ...]:
        """The histograms, by name; a warning says how many values were NaN. Waits for the device."""
        found = []
        for name, (bins, counts) in sorted(self._all().items()):
            *held, nan = counts.tolist()
            if nan:
                log.warning(
                    "%d of %d values of %s are NaN, and are in no bin of its histogram", nan, sum(held) + nan, name
                )
            found.append(Histogram(name, bins.low, bins.high, tuple(held)))
        return tuple(found)

    def state_dict(self) -> dict[str, Any]:
        """The counts so far, for ``load_state_dict`` in another process."""
        return {name: (bins.low, bins.high, bins.number, counts) for name, (bins, counts) in self._all().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the counts of an earlier start."""
        self._earlier = {name: (Bins(*bins), counts) for name, (*bins, counts) in state.items()}

    def _all(self) -> dict[str, tuple[Bins, Tensor]]:
        return self._earlier | {name: (bins, counts) for name, (bins, _, counts) in self._counted.items()}


def _plain(bins: Bins) -> Bins:
    """The bins with numbers of Python's own, since those of another library could not be read from a saved state."""
    low, high = (value if type(value) in (int, float) else float(value) for value in (bins.low, bins.high))
    return Bins(low, high, int(bins.number))
