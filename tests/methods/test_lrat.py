"""LRAT: to the last bit SAT where it must be; what it refuses; what it tells."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from harness.errors import SettingError
from harness.methods.lrat import LRAT
from harness.methods.sat import SAT
from tests.tiny import make_batch, make_step, make_threat, make_tiny_model


def one(**settings: object) -> LRAT:
    """LRAT with g == 1 and PGD alone."""
    return LRAT.from_mapping({"attacks": "pgd", "alpha_pgd": 1.0, "beta_pgd": 0.0, **settings})


def loss_and_gradients(method: SAT | LRAT, model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
    loss = method.loss(make_step(model, x, y))
    return loss.detach(), list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("floor", ["none", "natural", "pgd", "natural+pgd"])
def test_g_of_one_and_pgd_alone_is_sat_to_the_last_bit(seed: int, floor: str) -> None:
    model, (x, y) = make_tiny_model(seed), make_batch(n=13 + seed, seed=seed)
    expected, expected_gradients = loss_and_gradients(SAT(), copy.deepcopy(model), x, y)
    loss, gradients = loss_and_gradients(one(floor=floor), model, x, y)
    assert torch.equal(loss, expected)
    assert all(torch.equal(a, b) for a, b in zip(gradients, expected_gradients, strict=True))


def test_a_floor_that_needs_pgd_is_refused_without_pgd() -> None:
    with pytest.raises(SettingError, match="floor=natural\\+pgd needs the PGD variant"):
        LRAT(attacks="cw")


def test_a_minimum_of_one_is_refused() -> None:
    with pytest.raises(SettingError, match="minimum=1"):
        LRAT(minimum=1.0)


def test_diagnostics_say_how_many_instances_are_under_the_floor() -> None:
    logged: dict[str, Tensor] = {}
    model, (x, _) = make_tiny_model(), make_batch(n=8)
    with torch.no_grad():
        for parameter in model[4].parameters():
            parameter.mul_(1e4)  # so sure that a right answer has g near 0, a wrong one near its greatest
    y = model.train()(x).argmax(1)
    y[:3] = (y[:3] + 1) % 5
    step = make_step(model, x, y, threat=make_threat(epsilon=0.0), log=logged.__setitem__)
    LRAT(minimum=0.1).loss(step)
    assert float(logged["floor_share"]) == 5 / 8
