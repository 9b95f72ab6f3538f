"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Interval
from torch import Tensor, nn
from typing_extensions import Doc

from harness.plugin.wrapper import Wrapper


@dataclass(frozen=True, kw_only=True)
class EMA(Wrapper):
    """Publish an average of the weights over the training (Izmailov et al. 2018; Gowal et al. 2020, arXiv:2010.03593).

    After each update, average <- d average + (1 - d) weights, with d = min(decay, (1 + t) / (10 + t)) at update t, so
    that the initial weights do not dominate a short training. The training itself is unchanged.

    Departs: batch-norm's statistics are the model's own, which are moving averages already.
    """

    decay: Annotated[float, Interval(ge=0, lt=1), Doc("the largest share of the average that an update keeps")] = 0.999

    def prepare(self, model: nn.Module) -> None:
        self.memory["updates"] = 0
        self.memory["average"] = {name: p.detach().clone() for name, p in _named(model)}

    @torch.no_grad()
    def after(self, model: nn.Module) -> None:
        self.memory["updates"] += 1
        t = self.memory["updates"]
        decay = min(self.decay, (1 + t) / (10 + t))
        for name, parameter in _named(model):
            self.memory["average"][name].lerp_(parameter, 1 - decay)

    def published(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        average: dict[str, Tensor] = self.memory["average"]
        return weights | average


def _named(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Every parameter with every name: a parameter that two layers share has two names, and is published under both."""
    return model.named_parameters(remove_duplicate=False)
