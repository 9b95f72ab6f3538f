"""Two one-sided tests: against scipy, against a likelihood maximised by force, and by simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize, stats

from harness.statistics.equivalence import over_images, over_seeds
from harness.statistics.paired import Crossed
from harness.statistics.seed_sides import SeedSides

TRIALS = 4_000
accuracies = st.lists(st.tuples(st.integers(0, 360), st.integers(0, 360)), min_size=2, max_size=8)


def close(expected: Any, abs: float | None = None) -> Any:
    return pytest.approx(expected, abs=abs)


def sides_of(first: Any, second: Any, *, paired: bool) -> SeedSides:
    return SeedSides(tuple(map(float, first)), tuple(map(float, second)), paired)


@given(accuracies, st.floats(0.1, 20), st.booleans())
def test_over_seeds_by_scipy(counts: list[tuple[int, int]], margin: float, paired: bool) -> None:
    first, second = ([100 * pair[side] / 360 for pair in counts] for side in (0, 1))
    sides = sides_of(first, second, paired=paired)
    found = over_seeds(sides, margin)
    if paired:
        assume(len({a - b for a, b in counts}) > 1)
        worse, better = (
            stats.ttest_rel(np.subtract(first, shift), second, alternative=way)
            for shift, way in ((-margin, "greater"), (margin, "less"))
        )
    else:
        assume(all(len(set(side)) > 1 for side in (first, second)))  # scipy warns of a side without spread
        worse, better = (
            stats.ttest_ind(np.subtract(first, shift), second, equal_var=False, alternative=way)
            for shift, way in ((-margin, "greater"), (margin, "less"))
        )
    assert found is not None
    assert found.p_not_worse == close(worse.pvalue, abs=1e-9)
    assert found.p_not_better == close(better.pvalue, abs=1e-9)
    assert found.equivalent == (max(worse.pvalue, better.pvalue) < 0.05)
    inside = -margin < found.interval.low and found.interval.high < margin
    assert found.equivalent == inside or max(worse.pvalue, better.pvalue) == close(0.05, abs=1e-9)


def test_over_seeds_by_hand() -> None:
    # differences 1, 2, 3: mean 2, error 1 / sqrt(3); with 2 degrees P(T < -t) = (1 - t / sqrt(2 + t^2)) / 2
    found = over_seeds(sides_of([51, 62, 73], [50, 60, 70], paired=True), 3.0)
    assert found is not None
    worse, better = 5 * math.sqrt(3), math.sqrt(3)
    assert found.p_not_worse == close((1 - worse / math.sqrt(2 + worse**2)) / 2)
    assert found.p_not_better == close((1 - better / math.sqrt(2 + better**2)) / 2)
    assert (found.not_worse, found.not_better, found.equivalent, found.n) == (True, False, False, 3)
    assert found.interval.high - 2 == close(2.91998558 / math.sqrt(3))


def test_seeds_without_spread_have_no_test() -> None:
    ours, theirs = ([100 * (count - less) / 360 for count in (1, 200, 333)] for less in (0, 1))
    assert len({one - other for one, other in zip(ours, theirs, strict=True)}) > 1  # they differ by rounding alone
    assert over_seeds(sides_of(ours, theirs, paired=True), 5.0) is None
    assert over_seeds(sides_of([50, 50], [40, 40], paired=False), 5.0) is None


def score_by_force(table: Crossed, supposed: float) -> float:
    """Distance over its deviation at the most likely shares of disagreement, if the difference is the supposed one."""
    n, first, second = table.examples, table.first_only, table.second_only

    def surprise(share: float) -> float:  # of the share that the second alone has right
        shares, counts = (share, share + supposed, 1 - 2 * share - supposed), (second, first, n - first - second)
        return -sum(count * math.log(max(value, 1e-300)) for count, value in zip(counts, shares, strict=True) if count)

    low, high = max(0.0, -supposed), (1 - supposed) / 2
    found = optimize.minimize_scalar(surprise, bounds=(low, high), method="bounded", options={"xatol": 1e-13})
    variance = n * (2 * found.x + supposed * (1 - supposed))
    return (first - second - n * supposed) / math.sqrt(variance)


@given(*[st.integers(1, 60)] * 2, st.integers(0, 300), st.floats(0.5, 30))
def test_over_images_by_a_likelihood_maximised_by_force(first: int, second: int, agreed: int, margin: float) -> None:
    table = Crossed(agreed, first, second, 1)
    found = over_images(table, margin)
    assert found.p_not_worse == close(stats.norm.sf(score_by_force(table, -margin / 100)), abs=1e-4)
    assert found.p_not_better == close(stats.norm.cdf(score_by_force(table, margin / 100)), abs=1e-4)
    ends = [score_by_force(table, end / 100) for end in (found.interval.low, found.interval.high)]
    assert ends == close([1.6448536, -1.6448536], abs=1e-3)


@given(*[st.integers(0, 200)] * 4, st.floats(0.5, 30))
def test_sides_change_places(both: int, first: int, second: int, neither: int, margin: float) -> None:
    assume(both + first + second + neither > 0)
    one, other = (over_images(Crossed(both, *pair, neither), margin) for pair in ((first, second), (second, first)))
    assert (one.p_not_worse, one.p_not_better) == close((other.p_not_better, other.p_not_worse), abs=1e-9)
    assert (one.interval.low, one.interval.high) == close((-other.interval.high, -other.interval.low), abs=1e-6)
    assert (
        one.interval.low - 1e-6
        <= 100 * (first - second) / (both + first + second + neither)
        <= one.interval.high + 1e-6
    )


def test_networks_that_never_disagree_are_alike_only_on_enough_images() -> None:
    assert over_images(Crossed(900, 0, 0, 100), 1.0).equivalent
    assert not over_images(Crossed(90, 0, 0, 10), 1.0).equivalent


@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan])
def test_a_margin_without_room_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        over_seeds(sides_of([1, 2], [1, 3], paired=True), margin)
    with pytest.raises(ValueError, match="must be above 0"):
        over_images(Crossed(1, 1, 1, 1), margin)


def test_a_margin_that_no_two_shares_differ_by_is_refused() -> None:
    with pytest.raises(ValueError, match="none of two shares"):
        over_images(Crossed(1, 1, 1, 1), 100.0)


@pytest.mark.parametrize("paired", [True, False])
def test_methods_that_differ_by_the_margin_pass_in_one_of_twenty(paired: bool) -> None:
    random, margin = np.random.default_rng(5), 1.0
    passed = 0
    for _ in range(TRIALS):
        common = random.normal(0.0, 0.4, 5) if paired else np.zeros(5)
        first, second = random.normal(-margin, 0.5, 5) + common, random.normal(0.0, 0.5, 5) + common
        found = over_seeds(sides_of(first, second, paired=paired), margin)
        passed += found is not None and found.not_worse
    assert passed / TRIALS == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / TRIALS))


def test_networks_that_differ_by_the_margin_pass_in_one_of_twenty_and_intervals_cover() -> None:
    random, shares = np.random.default_rng(6), [0.55, 0.03, 0.08, 0.34]  # the first is worse by 5 points
    found = [over_images(Crossed(*map(int, random.multinomial(360, shares))), 5.0) for _ in range(TRIALS)]
    assert np.mean([one.not_worse for one in found]) == pytest.approx(0.05, abs=0.015)
    covered = [one.interval.low <= -5.0 <= one.interval.high for one in found]
    assert np.mean(covered) == pytest.approx(0.90, abs=0.02)
