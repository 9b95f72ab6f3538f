"""The t-test that is looked at after every seed: its p-value, its intervals, and its error."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.crossing import FIRST, crossing, share
from harness.statistics.paired import paired_t
from harness.statistics.sequential import critical_level, looks, sequential_p

figures = st.floats(30.0, 60.0)
pairs = st.lists(st.tuples(figures, figures), min_size=FIRST, max_size=8)
few = settings(max_examples=25, deadline=None)


def spread_out(values: Sequence[tuple[float, float]]) -> bool:
    differences = [a - b for a, b in values]
    return all(max(differences[:n]) - min(differences[:n]) > 1e-6 for n in range(FIRST, len(values) + 1))


def sides(values: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [a for a, _ in values], [b for _, b in values]


@pytest.mark.parametrize(("limit", "alpha"), [(3, 0.05), (6, 0.05), (12, 0.01), (30, 0.05 / 3)])
def test_the_looks_of_the_critical_level_have_the_error(limit: int, alpha: float) -> None:
    level = critical_level(limit, alpha)
    assert crossing(limit, level) == pytest.approx(alpha, rel=1e-4)
    assert alpha / (limit - FIRST + 1) <= level <= alpha


def test_equal_methods_are_called_different_in_5_percent_at_any_look() -> None:
    sweeps, limit = 20_000, 8
    draws = np.random.default_rng(8).normal(size=(sweeps, limit)) * 0.4
    bounds = [critical_level(limit) * share(n, limit) for n in range(FIRST, limit + 1)]
    p = [stats.ttest_1samp(draws[:, :n], 0.0, axis=1).pvalue for n in range(FIRST, limit + 1)]
    found = np.any([one <= bound for one, bound in zip(p, bounds, strict=True)], axis=0).mean()
    assert found == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / sweeps))
    naive = np.any([one < 0.05 for one in p], axis=0).mean()
    assert naive > 0.12  # what the bounds are for


@few
@given(pairs)
def test_p_is_at_most_5_percent_where_a_look_passed_its_bound(values: list[tuple[float, float]]) -> None:
    assume(spread_out(values))
    first, second = sides(values)
    tests = [stats.ttest_rel(first[:n], second[:n]).pvalue for n in range(FIRST, len(values) + 1)]
    level, least = critical_level(8), min(p / share(n, 8) for n, p in enumerate(tests, FIRST))
    assume(abs(least / level - 1) > 1e-3)
    assert (looks(first, second, 8)[-1].p <= 0.05) == (least <= level)


@few
@given(pairs, st.floats(0.1, 10.0), st.floats(-20.0, 20.0))
def test_sides_scale_and_shift_change_nothing_and_p_never_rises(
    values: list[tuple[float, float]], scale: float, shift: float
) -> None:
    assume(spread_out(values))
    first, second = sides(values)
    found = [look.p for look in looks(first, second, 8)]
    assert found == sorted(found, reverse=True)
    assert [look.p for look in looks(second, first, 8)] == pytest.approx(found)
    moved = [scale * a + shift for a in first], [scale * b + shift for b in second]
    assert [look.p for look in looks(*moved, 8)] == pytest.approx(found, rel=1e-3)


@few
@given(pairs)
def test_an_end_of_an_interval_is_a_difference_that_this_look_barely_finds(values: list[tuple[float, float]]) -> None:
    assume(spread_out(values))
    first, second = sides(values)
    look = looks(first, second, 8)[-1]
    assert look.interval is not None
    for end in (look.interval.low, look.interval.high):
        p = stats.ttest_1samp(np.subtract(first, second), end).pvalue
        assert p == pytest.approx(critical_level(8) * share(len(values), 8), rel=1e-6)


def test_a_pair_that_is_found_has_an_interval_without_0() -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        first, second = rng.normal(52.0, 1.0, 6), rng.normal(50.0, 1.0, 6)
        found = looks(list(first), list(second), 6)
        shut_out = [look for look in found if look.interval and not look.interval.low <= 0 <= look.interval.high]
        assert bool(shut_out) == (found[-1].p <= 0.05)


def test_a_limit_of_one_look_is_the_paired_t_test() -> None:
    first, second = [50.0, 51.5, 49.0], [48.0, 48.5, 48.0]
    (look,) = looks(first, second, FIRST)
    alone = paired_t(first, second)
    assert look.p == pytest.approx(alone.p)
    assert look.interval is not None
    assert (look.interval.low, look.interval.high) == pytest.approx((alone.interval.low, alone.interval.high))


def test_the_p_of_looks_by_hand() -> None:
    """Of a limit of 6, the looks after 3, 4, and 5 seeds have 9, 16, and 25 of 36 parts of the level."""
    assert sequential_p([0.01, 0.02, 0.01], 6) == pytest.approx(crossing(6, 0.01 * 36 / 25))
    assert sequential_p([0.001, 0.02, 0.9], 6) == pytest.approx(crossing(6, 0.004))
    assert sequential_p([0.9], 6) == 1.0


def test_differences_without_spread_find_nothing() -> None:
    same = looks([52.0, 53.0, 54.0], [50.0, 51.0, 52.0], 5)
    assert [(look.p, look.interval) for look in same] == [(1.0, None)]
    (_, then) = looks([52.0, 53.0, 54.0, 55.0], [50.0, 51.0, 52.0, 52.9], 5)
    assert then.found.p is not None
    assert then.p == pytest.approx(crossing(5, then.found.p * 25 / 16))
    assert sequential_p([None, None], 5) == 1.0


def test_too_few_pairs_have_no_look_and_what_is_refused() -> None:
    assert looks([50.0, 51.0], [49.0, 48.0], 6) == []
    with pytest.raises(ValueError, match="no pairs"):
        looks([50.0] * 3, [49.0] * 4, 6)
    with pytest.raises(ValueError, match="more than a limit of 3"):
        sequential_p([0.5, 0.5], 3)
    with pytest.raises(ValueError, match="between 0 and 1"):
        critical_level(6, 0.0)
