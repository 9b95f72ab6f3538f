"""Intervals against their closed forms, scipy, and what they promise."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.figures import Interval, t_interval, wilson


def close(expected: Any, abs: float | None = None) -> Any:
    return pytest.approx(expected, abs=abs)


def test_wilson_by_hand() -> None:
    # 50 % of 100, z = 1.959964: centre 0.5, half = z / (1 + z^2/100) * sqrt(0.0025 + z^2/40000) = 0.0961688
    found = wilson(50.0, 100)
    assert (found.low, found.high) == (close(40.38315, abs=1e-5), close(59.61685, abs=1e-5))


@pytest.mark.parametrize("examples", [1, 7, 360, 10_000])
def test_wilson_at_the_ends(examples: int) -> None:
    reach = 100 * 1.959963984540054**2 / (examples + 1.959963984540054**2)  # z^2 / (n + z^2)
    assert wilson(0.0, examples) == Interval(0.0, close(reach))
    assert wilson(100.0, examples) == Interval(close(100 - reach), 100.0)


@given(st.integers(1, 2_000), st.data())
def test_wilson_equals_scipy(examples: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, examples))
    expected = stats.binomtest(correct, examples).proportion_ci(0.95, method="wilson")
    found = wilson(100 * correct / examples, examples)
    assert found.low == close(100 * expected.low, abs=1e-9)
    assert found.high == close(100 * expected.high, abs=1e-9)


def test_wilson_takes_a_median_between_two_counts() -> None:
    between = wilson(100 * 150.5 / 360, 360)
    below, above = wilson(100 * 150 / 360, 360), wilson(100 * 151 / 360, 360)
    assert below.low < between.low < above.low
    assert below.high < between.high < above.high


def test_t_by_hand() -> None:
    # values 1, 2, 3, 4, 5: mean 3, std sqrt(2.5), n 5; the 97.5 % point of t with 4 degrees is 2.7764451
    found = t_interval(3.0, math.sqrt(2.5), 5)
    half = 2.7764451 * math.sqrt(2.5 / 5)
    assert found == Interval(close(3 - half), close(3 + half))


def test_two_seeds_by_the_cauchy_distribution() -> None:
    # with one degree of freedom t is Cauchy: its 97.5 % point is tan(0.475 pi) = 12.7062
    found = t_interval(50.0, math.sqrt(2), 2)
    assert found == Interval(close(50 - math.tan(0.475 * math.pi)), close(50 + 12.7062047, abs=1e-6))


def test_one_seed_has_no_interval() -> None:
    assert t_interval(50.0, None, 1) is None


def test_no_spread_is_an_interval_of_no_width() -> None:
    assert t_interval(50.0, 0.0, 3) == Interval(50.0, 50.0)
