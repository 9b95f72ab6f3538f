"""LRAT: to the last bit SAT where it must be; elsewhere a slow formula, example by example."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from harness.adversary import CrossEntropy, Margin, Objective
from harness.errors import SettingError
from methods.lrat import LRAT
from methods.sat import SAT
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


def slow_lrat(method: LRAT, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Eq. 5 with Eq. 7-10 and 17, one example after the other; s by bisection; weights as plain numbers."""
    objectives: dict[str, Objective] = {"pgd": CrossEntropy(), "cw": Margin(method.kappa)}
    names = method.attacks.split("+")
    step = make_step(model, x, y)
    variants = step.perturb_all(*(objectives[name] for name in names))
    logits = {name: model(variant.x) for name, variant in zip(names, variants, strict=True)}
    natural = model(x) if "natural" in method.floor else None

    def nll(z: Tensor, i: int) -> Tensor:
        return -z[i, y[i]] + torch.logsumexp(z[i], 0)

    gains: list[list[float]] = []
    for i in range(len(x)):
        gains.append([])
        for name in names:
            p = [float(v) for v in logits[name][i].detach().double().softmax(0)]
            true, others = p[int(y[i])], max(v for k, v in enumerate(p) if k != int(y[i]))
            alpha, beta = (method.alpha_pgd, method.beta_pgd) if name == "pgd" else (method.alpha_cw, method.beta_cw)
            gains[i].append(alpha * (1 - (true if name == "pgd" else true - others)) ** beta)
    minimum = 0.0 if method.floor == "none" else method.minimum
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        mean = sum(max(minimum, middle * sum(g)) for g in gains) / len(gains)
        low, high = (middle, high) if mean < 1 else (low, middle)

    loss = torch.zeros((), dtype=x.dtype)
    for i in range(len(x)):
        for name, gain in zip(names, gains[i], strict=True):
            loss = loss + high * gain * nll(logits[name], i)
        floor = max(minimum - high * sum(gains[i]), 0.0)
        if natural is not None:
            loss = loss + floor * nll(natural, i)
        if "pgd" in method.floor:
            loss = loss + floor * nll(logits["pgd"], i)
    return loss / len(x)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"attacks": "pgd", "floor": "none"},
        {"attacks": "cw", "floor": "none"},
        {"floor": "none"},
        {"floor": "pgd", "minimum": 0.6},
        {"floor": "natural", "minimum": 0.9},
        {"minimum": 0.0},
        {"alpha_pgd": 0.5, "beta_pgd": 2.0, "alpha_cw": 4.0, "beta_cw": 0.25, "minimum": 0.4},
        {"kappa": 0.05},
    ],
    ids=str,
)
@pytest.mark.parametrize("labels", ["random", "all wrong", "all right", "one class"])
def test_loss_and_gradients_equal_the_slow_formula(settings: dict[str, object], labels: str) -> None:
    model, (x, y) = make_tiny_model(3, dtype=torch.float64), make_batch(n=11, seed=3)
    x = x.double()
    predicted = model.eval()(x).argmax(1)
    y = {"random": y, "all wrong": (predicted + 1) % 5, "all right": predicted, "one class": torch.zeros_like(y)}[
        labels
    ]
    method = LRAT.from_mapping(settings)
    other = copy.deepcopy(model)
    expected = slow_lrat(method, other.train(), x, y)
    expected_gradients = torch.autograd.grad(expected, list(other.parameters()), materialize_grads=True)
    loss = method.loss(make_step(model, x, y))
    gradients = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-12)
    for a, b in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


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
