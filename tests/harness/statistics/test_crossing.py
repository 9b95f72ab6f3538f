"""The chance that repeated looks call equal methods different: against simulated t-tests and a sum in the plane."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.crossing import FIRST, MOST, crossing, share

SWEEPS = 100_000


def simulated(limit: int, level: float, seed: int) -> float:
    """How often scipy's t-test of 3, 4, ... normal values passes its bound at least once."""
    draws = np.random.default_rng(seed).normal(3.0, 0.7, (SWEEPS, limit)) - 3.0
    passed = np.zeros(SWEEPS, dtype=bool)
    for n in range(FIRST, limit + 1):
        passed |= stats.ttest_1samp(draws[:, :n], 0.0, axis=1).pvalue <= level * (n / limit) ** 2
    return float(passed.mean())


@pytest.mark.parametrize(("limit", "level"), [(4, 0.03), (6, 0.03), (6, 0.3), (12, 0.004), (12, 0.0246), (30, 0.02)])
def test_it_is_how_often_simulated_looks_pass(limit: int, level: float) -> None:
    chance = crossing(limit, level)
    assert simulated(limit, level, limit) == pytest.approx(chance, abs=4 * math.sqrt(chance / SWEEPS))


@pytest.mark.parametrize("level", [0.02, 0.1, 0.3])
def test_of_two_looks_it_is_a_sum_in_the_plane(level: float) -> None:
    """Of 3 values the direction lies evenly on a sphere, so that their U is uniform; of 4, by the law of the fourth."""
    bounds = {n: stats.t.isf(level * share(n, 4) / 2, n - 1) for n in (3, 4)}
    u, theta = (np.arange(2000) + 0.5) / 2000, ((np.arange(2000) + 0.5) / 2000 - 0.5) * math.pi
    first, fourth = math.sqrt(3) * u[:, None], np.tan(theta)  # the sum of three values whose squares add up to 1
    total, squares = first + fourth, 1 + fourth**2
    t_of_4 = np.abs(total) / 2 / np.sqrt((squares - total**2 / 4) / 3)
    t_of_3 = first / math.sqrt(3) / np.sqrt((1 - first**2 / 3) / 2)
    passes = (t_of_3 >= bounds[3]) | (t_of_4 >= bounds[4])
    chance = float((passes * np.cos(theta) ** 2).mean()) * 2  # theta has density 2 / pi cos^2
    assert crossing(4, level) == pytest.approx(chance, rel=0.01, abs=2e-5)


def test_one_look_is_one_test() -> None:
    for level in (1e-6, 0.05, 0.7):
        assert crossing(FIRST, level) == pytest.approx(level)


@settings(max_examples=30, deadline=None)
@given(st.integers(FIRST, 20), st.floats(1e-9, 0.9), st.floats(1.01, 5.0))
def test_it_lies_between_one_look_and_the_sum_of_all_and_rises(limit: int, level: float, times: float) -> None:
    chance = crossing(limit, level)
    assert level <= chance <= level * sum((n / limit) ** 2 for n in range(FIRST, limit + 1)) * (1 + 1e-12)
    assert chance <= crossing(limit, min(1.0, level * times))


@pytest.mark.parametrize("limit", [12, 30])
def test_twice_as_many_nodes_say_the_same(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    levels = (1e-4, 0.003, 0.02, 0.2)
    few = [crossing(limit, level) for level in levels]
    crossing.cache_clear()
    monkeypatch.setattr("harness.statistics.crossing._NODES", 320)
    many = [crossing(limit, level) for level in levels]
    crossing.cache_clear()
    assert few == pytest.approx(many, rel=2e-3)


@pytest.mark.parametrize("limit", [5, 12])
def test_small_chances_are_right_to_a_tenth(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    levels = [10.0**-power for power in range(6, 12)]
    few = [crossing(limit, level) for level in levels]
    crossing.cache_clear()
    monkeypatch.setattr("harness.statistics.crossing._NODES", 640)
    many = [crossing(limit, level) for level in levels]
    crossing.cache_clear()
    assert few == pytest.approx(many, rel=0.1)


def test_the_ends_and_refused_limits() -> None:
    assert (crossing(5, 0.0), crossing(5, 1.0), crossing(5, 9.0)) == (0.0, 1.0, 1.0)
    assert 0.05 < crossing(MOST, 0.03) < 0.1
    for limit in (FIRST - 1, MOST + 1):
        with pytest.raises(ValueError, match="3 to 100"):
            crossing(limit, 0.05)
