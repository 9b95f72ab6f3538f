"""A throw-away ball: what a second norm takes, and all that it takes."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from harness.plugin.ball import Ball

_LEAST = torch.finfo(torch.float32).tiny


class L2(Ball):
    """The root of the summed squares of all changes is at most the radius."""

    norm: ClassVar[str] = "L2"

    def uniform(self, generator: torch.Generator) -> Tensor:
        kind = {"generator": generator, "device": self.x.device, "dtype": self.x.dtype}
        way = self.direction(torch.randn(self.x.shape, **kind))  # type: ignore[call-overload]
        share = torch.rand(len(self.x), **kind) ** (1 / self.x[0].numel())  # type: ignore[call-overload]
        offset: Tensor = self.epsilon * _each(share, way) * way
        return self.x + offset

    def direction(self, gradient: Tensor) -> Tensor:
        numbers = gradient.nan_to_num(0.0)
        largest = numbers.abs().flatten(1).amax(1).clamp(min=_LEAST)
        scaled = numbers / _each(largest, numbers)  # so that no square is too small for float32
        return scaled / _each(scaled.flatten(1).norm(dim=1).clamp(min=0.5), scaled)

    def project(self, x_adv: Tensor) -> Tensor:
        offset = x_adv.clamp(-1e6, 1e6) - self.x
        length = offset.flatten(1).norm(dim=1).clamp(min=_LEAST)
        return (self.x + _each((self.epsilon / length).clamp(max=1.0), offset) * offset).clamp(0, 1)

    def distance(self, x_adv: Tensor) -> Tensor:
        distance: Tensor = (x_adv - self.x).flatten(1).norm(dim=1)
        return distance


def _each(values: Tensor, like: Tensor) -> Tensor:
    """``(batch,)`` values, shaped to go with ``(batch, ...)``."""
    return values.view([-1, *[1] * (like.ndim - 1)])
