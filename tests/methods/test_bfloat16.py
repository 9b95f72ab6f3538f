"""Losses of differences in bfloat16: logits have eight binary digits, and what is computed of them has more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.methods.alp import ALP
from harness.methods.ard import ARD
from harness.methods.dkl import DKL
from harness.methods.lbgat import LBGAT
from harness.methods.mart import MART
from harness.methods.rslad import RSLAD
from harness.plugin.adversary import Variant
from harness.plugin.method import Method
from harness.training.given_networks import give_stand_ins
from tests.tiny import make_batch, make_step, make_tiny_model


class Cast(nn.Module):
    """A network whose logits are confident, rounded to bfloat16, and of the type that is asked for."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner, self.dtype = make_tiny_model(), dtype

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = 8 * self.inner(x)
        return logits.bfloat16().to(self.dtype)


def start(_model: nn.Module, x: Tensor, y: Tensor, objectives: Any, *_rest: Any, **_more: Any) -> tuple[Variant, ...]:
    """Variants that do not depend on the type of the logits."""
    return tuple(Variant(1 - x, torch.zeros_like(y)) for _ in objectives)


@pytest.mark.parametrize(
    "method", [ALP(), ARD(), RSLAD(), LBGAT(), DKL(), MART(guard=True)], ids=lambda m: type(m).__name__
)
def test_logits_of_bfloat16_give_the_loss_of_the_same_numbers_in_float32(method: Method) -> None:
    x, y = make_batch()
    losses = []
    for dtype in (torch.bfloat16, torch.float32):
        made, model = type(method).from_mapping(method.resolved()), Cast(dtype)
        give_stand_ins(made, lambda dtype=dtype: Cast(dtype))  # type: ignore[misc]
        made.prepare(model)
        with torch.autocast("cpu", torch.bfloat16):
            losses.append(made.loss(replace(make_step(model, x, y), craft=start)).detach())
    assert losses[0].dtype == torch.float32
    torch.testing.assert_close(*losses, rtol=1e-5, atol=0)
