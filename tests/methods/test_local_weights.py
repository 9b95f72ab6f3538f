"""Eq. 17's normalisation: properties, a slow bisection, and cases by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.methods._local_weights import decreasing, local_weights, vulnerability_cw, vulnerability_pgd

values = st.floats(0, 3, allow_subnormal=False).map(lambda v: 0.0 if v < 1e-6 else v)
batches = st.integers(1, 3).flatmap(
    lambda attacks: st.lists(st.lists(values, min_size=attacks, max_size=attacks), min_size=1, max_size=20)
)
minima = st.floats(0, 0.99)


def columns(batch: list[list[float]]) -> list[Tensor]:
    return list(torch.tensor(batch, dtype=torch.float64).T)


def totals(batch: list[list[float]], minimum: float) -> tuple[Tensor, Tensor]:
    weights, floor = local_weights(columns(batch), minimum)
    return torch.stack(weights).sum(0), floor


@given(batch=batches, minimum=minima)
def test_the_mean_total_weight_is_one(batch: list[list[float]], minimum: float) -> None:
    omega, floor = totals(batch, minimum)
    if any(value for row in batch for value in row):
        torch.testing.assert_close((omega + floor).mean(), torch.tensor(1.0, dtype=torch.float64), rtol=1e-9, atol=0)
    else:
        assert omega.tolist() == [0.0] * len(batch)
        assert floor.tolist() == [1.0] * len(batch)


@given(batch=batches, minimum=minima)
def test_no_instance_weighs_less_than_the_minimum_and_the_floor_is_only_for_those_below_it(
    batch: list[list[float]], minimum: float
) -> None:
    omega, floor = totals(batch, minimum)
    assert bool((omega + floor >= minimum - 1e-9).all())
    if omega.any():
        assert bool(((floor == 0) | (omega < minimum)).all())


@given(batch=batches, minimum=minima)
def test_the_scale_is_the_one_that_a_slow_bisection_finds(batch: list[list[float]], minimum: float) -> None:
    gains = [sum(row) for row in batch]
    if not any(gains):
        return
    low, high = 0.0, 1.0
    while sum(max(minimum, high * g) for g in gains) / len(gains) < 1:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(max(minimum, middle * g) for g in gains) / len(gains) < 1 else (low, middle)
    omega, _ = totals(batch, minimum)
    torch.testing.assert_close(omega, torch.tensor([high * g for g in gains], dtype=torch.float64), rtol=1e-9, atol=0)


@given(batch=batches, minimum=minima, factor=st.floats(0.1, 10))
def test_a_factor_common_to_all_attacks_cancels(batch: list[list[float]], minimum: float, factor: float) -> None:
    omega, floor = totals(batch, minimum)
    scaled, scaled_floor = totals([[factor * value for value in row] for row in batch], minimum)
    torch.testing.assert_close(scaled, omega, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(scaled_floor, floor, rtol=1e-9, atol=1e-12)


@given(batch=batches, minimum=minima, seed=st.integers(0, 100))
def test_the_order_of_a_batch_does_not_matter(batch: list[list[float]], minimum: float, seed: int) -> None:
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(seed))
    omega, floor = totals(batch, minimum)
    shuffled, shuffled_floor = totals([batch[i] for i in order], minimum)
    torch.testing.assert_close(shuffled, omega[order], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(shuffled_floor, floor[order], rtol=1e-9, atol=1e-12)


def test_by_hand() -> None:
    # G = (3, 1, 0), C = 0.1: with the third at its floor, s (3 + 1) + 0.1 = 3, s = 0.725
    weights, floor = local_weights([torch.tensor([2.0, 1.0, 0.0]), torch.tensor([1.0, 0.0, 0.0])], 0.1)
    torch.testing.assert_close(weights[0], torch.tensor([1.45, 0.725, 0.0]))
    torch.testing.assert_close(weights[1], torch.tensor([0.725, 0.0, 0.0]))
    torch.testing.assert_close(floor, torch.tensor([0.0, 0.0, 0.1]))


@pytest.mark.parametrize("n", [1, 3, 64, 127, 128])
@pytest.mark.parametrize("minimum", [0.0, 0.1, 0.6, 0.99])
def test_g_of_one_gives_weights_of_exactly_one(n: int, minimum: float) -> None:
    (weights,), floor = local_weights([torch.ones(n)], minimum)
    assert weights.tolist() == [1.0] * n
    assert floor.tolist() == [0.0] * n


def test_vulnerabilities_by_hand() -> None:
    probabilities = torch.tensor([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]])
    logits, y = probabilities.log(), torch.tensor([0, 1])
    torch.testing.assert_close(vulnerability_pgd(logits, y), torch.tensor([0.7, 0.25]))
    torch.testing.assert_close(vulnerability_cw(logits, y), torch.tensor([0.5, -0.25]))


def test_g_by_hand_and_at_the_edge() -> None:
    torch.testing.assert_close(decreasing(torch.tensor([0.75, -1.0]), 2.0, 0.5), torch.tensor([1.0, 2 * 2**0.5]))
    just_above_one = torch.nextafter(torch.tensor([1.0]), torch.tensor([2.0]))
    assert decreasing(just_above_one, 2.0, 0.5).tolist() == [0.0]
    assert decreasing(torch.tensor([1.0, 0.3]), 1.0, 0.0).tolist() == [1.0, 1.0]  # beta = 0 is g == alpha, also at 1


def test_weights_carry_no_gradient() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    y = torch.tensor([0, 1, 2, 0])
    weights, floor = local_weights([decreasing(vulnerability_pgd(logits, y), 2.0, 0.5)], 0.1)
    assert not weights[0].requires_grad
    assert not floor.requires_grad
