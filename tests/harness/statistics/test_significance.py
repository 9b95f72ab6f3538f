"""Paired t against scipy and by hand; Holm against its definition, tried by force."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.figures import Interval
from harness.statistics.paired import PairedT, holm, paired_t

ps = st.lists(st.floats(0, 1), max_size=12)


def close(expected: Any, abs: float | None = None) -> Any:
    return pytest.approx(expected, abs=abs)


def test_paired_t_by_hand() -> None:
    # differences 1, 2, 3: mean 2, std 1, t = 2 sqrt(3) with 2 degrees: p = 1 - t / sqrt(2 + t^2)
    found = paired_t([51.0, 62.0, 73.0], [50.0, 60.0, 70.0])
    t, half = 2 * math.sqrt(3), 4.30265273 / math.sqrt(3)
    assert found == PairedT(
        close(2.0),
        Interval(close(2 - half), close(2 + half)),
        close(1 - t / math.sqrt(2 + t * t)),
        3,
    )


@given(st.lists(st.tuples(st.integers(0, 360), st.integers(0, 360)), min_size=2, max_size=8))
def test_paired_t_equals_scipy(counts: list[tuple[int, int]]) -> None:
    first, second = ([100 * pair[side] / 360 for pair in counts] for side in (0, 1))
    found = paired_t(first, second)
    if len({a - b for a, b in counts}) == 1:
        assert found.p == (1.0 if counts[0][0] == counts[0][1] else None)
        assert found.interval.low == found.interval.high == found.difference
        return
    expected = stats.ttest_rel(first, second)
    interval = expected.confidence_interval(0.95)
    assert found.p == close(expected.pvalue, abs=1e-12)
    assert found.interval == Interval(close(interval.low, abs=1e-9), close(interval.high, abs=1e-9))


def test_what_is_no_pair_is_refused() -> None:
    for first, second in (([1.0], [2.0]), ([1.0, 2.0], [1.0])):
        with pytest.raises(ValueError, match="no pairs, or too few"):
            paired_t(first, second)


def test_holm_by_hand() -> None:
    # 0.01 * 4, 0.02 * 3, then 0.03 * 2 = 0.06, and 0.04 * 1, which may not fall below 0.06
    assert holm([0.04, 0.01, 0.03, 0.02]) == close([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(ps, st.floats(0.001, 0.999))
def test_holm_rejects_what_its_steps_reject(p_values: list[float], alpha: float) -> None:
    """Step down: the smallest of the m that are left is rejected at alpha / m; the first that is not ends it."""
    left, rejected = dict(enumerate(p_values)), set()
    while left:
        index = min(left, key=lambda i: left[i])
        if left[index] * len(left) > alpha:
            break
        rejected.add(index)
        del left[index]
    assert {i for i, p in enumerate(holm(p_values)) if p <= alpha} == rejected


@given(ps)
def test_holm_is_the_closed_test_of_bonferroni(p_values: list[float]) -> None:
    """By force over every subset: p_holm is the greatest Bonferroni p of an intersection that holds the hypothesis."""
    p_values = p_values[:7]
    m = len(p_values)
    expected = [0.0] * m
    for subset in range(1, 2**m):
        members = [i for i in range(m) if subset >> i & 1]
        bonferroni = min(1.0, len(members) * min(p_values[i] for i in members))
        for i in members:
            expected[i] = max(expected[i], bonferroni)
    assert holm(p_values) == close(expected, abs=1e-15)


@given(ps)
def test_holm_keeps_the_order_and_never_helps(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    in_order = [q for _, q in sorted(zip(p_values, adjusted, strict=True))]
    assert all(a <= b for a, b in pairwise(in_order))
