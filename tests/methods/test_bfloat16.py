"""Losses of differences in bfloat16: logits have eight binary digits, and what is computed of them has more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.methods.alp import ALP
from harness.methods.ard import ARD
from harness.methods.cfa_trades import CFATRADES
from harness.methods.dkl import DKL
from harness.methods.fat_trades import FATTRADES
from harness.methods.gair_trades import GAIRTRADES
from harness.methods.hat import HAT
from harness.methods.lbgat import LBGAT
from harness.methods.lrat_trades import LRATTRADES
from harness.methods.mail_trades import MAILTRADES
from harness.methods.mart import MART
from harness.methods.rslad import RSLAD
from harness.methods.trades import TRADES
from harness.plugin.adversary import Variant, kl_divergence
from harness.plugin.method import Method
from harness.training.given_networks import give_stand_ins
from tests.tiny import draws, make_batch, make_step, make_tiny_model


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


METHODS: list[Method] = [
    *(ALP(), ARD(), RSLAD(), LBGAT(), LBGAT(beta=6.0), DKL(), MART(guard=True)),
    *(TRADES(), GAIRTRADES(), LRATTRADES(), MAILTRADES(), FATTRADES(), CFATRADES(), HAT()),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
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


def test_a_small_divergence_of_bfloat16_logits_is_that_of_the_same_numbers_in_float64() -> None:
    p = (8 * torch.randn(64, 10, generator=draws())).bfloat16()
    q = (p.float() + 0.1 * torch.randn(64, 10, generator=draws(1))).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = kl_divergence(p, q)
    log_p, log_q = (logits.double() - logits.double().logsumexp(1, keepdim=True) for logits in (p, q))
    expected = (log_p.exp() * (log_p - log_q)).sum(1)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-6)
    assert kl_divergence(p.double(), q.double()).dtype == torch.float64
    torch.testing.assert_close(kl_divergence(p.double(), q.double()), expected, rtol=1e-10, atol=1e-14)


def test_a_divergence_of_float32_logits_is_as_ever_to_the_last_bit() -> None:
    p, q = (torch.randn(64, 10, generator=draws(seed)) for seed in (2, 3))
    log_p, log_q = p.log_softmax(1), q.log_softmax(1)
    assert torch.equal(kl_divergence(p, q), (log_p.exp() * (log_p - log_q)).sum(1))
