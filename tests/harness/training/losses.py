"""Losses that tests make up: a method that does what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from harness.plugin.method import Method, Step


def plain(step: Step) -> Tensor:
    return F.cross_entropy(step.model(step.x), step.y)


@dataclass(frozen=True, kw_only=True)
class Odd(Method):
    """Does something odd."""

    name = "odd"
    does: Callable[[Step], Any] = field(default=plain)

    def __post_init__(self) -> None:
        """Nothing to check."""

    def loss(self, step: Step) -> Tensor:
        return self.does(step)  # type: ignore[no-any-return]


def and_plain(first: Callable[[Step], object]) -> Callable[[Step], Tensor]:
    def does(step: Step) -> Tensor:
        first(step)
        return plain(step)

    return does
