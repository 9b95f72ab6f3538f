"""The worst iterate of an attack that looks at all of them."""

from __future__ import annotations

import torch
from torch import Tensor


class Worst:
    """The worst iterate so far of each example: broken first, then the highest objective."""

    def __init__(self, start: Tensor) -> None:
        self.iterate = start.detach().clone()
        self.flipped = torch.zeros(len(start), dtype=torch.bool, device=start.device)
        self.value = torch.full((len(start),), -torch.inf, device=start.device)

    def update(self, iterate: Tensor, values: Tensor, flipped: Tensor) -> None:
        values = nan_lowest(values.detach())
        better = (flipped & ~self.flipped) | ((flipped == self.flipped) & (values > self.value))
        self.iterate = torch.where(better[:, None, None, None], iterate.detach(), self.iterate)
        self.value = torch.where(better, values, self.value)
        self.flipped |= flipped


def nan_lowest(values: Tensor) -> Tensor:
    """An objective's values, with NaN as the lowest: else a first NaN would be kept, since no value is above it."""
    return torch.where(values.isnan(), -torch.inf, values)
