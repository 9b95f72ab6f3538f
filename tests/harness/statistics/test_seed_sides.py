"""Two methods over training seeds: tests and correlation against scipy, by hand, and by simulation."""

from __future__ import annotations

import math
import statistics
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.paired import holm
from harness.statistics.seed_correlation import seed_correlation
from harness.statistics.seed_sides import SeedSides
from tests.harness.statistics.fastat import under_autoattack

TRIALS = 4_000
counts = st.lists(st.integers(0, 360), min_size=2, max_size=8)


def percents(several: list[int]) -> tuple[float, ...]:
    return tuple(100 * count / 360 for count in several)


@given(counts, counts)
def test_unpaired_sides_are_tested_as_scipy_tests_them(one: list[int], other: list[int]) -> None:
    assume(len(set(one)) > 1 and len(set(other)) > 1)
    found = SeedSides(percents(one), percents(other), paired=False).test()
    expected = stats.ttest_ind(percents(one), percents(other), equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.test == "Welch's t"
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    assert (found.interval.low, found.interval.high) == pytest.approx((interval.low, interval.high), abs=1e-7)
    assert (found.n, found.counts) == (min(len(one), len(other)), (len(one), len(other)))


@given(st.lists(st.tuples(st.integers(0, 360), st.integers(0, 360)), min_size=2, max_size=8))
def test_paired_sides_are_tested_as_scipy_tests_them(pairs: list[tuple[int, int]]) -> None:
    assume(len({a - b for a, b in pairs}) > 1)
    first, second = (percents([pair[side] for pair in pairs]) for side in (0, 1))
    found = SeedSides(first, second, paired=True).test()
    assert (found.test, found.n, found.counts) == ("paired t", len(pairs), (len(pairs), len(pairs)))
    assert found.p == pytest.approx(stats.ttest_rel(first, second).pvalue, abs=1e-12)


def test_sides_without_spread_have_no_p_but_that_of_equals() -> None:
    unlike = SeedSides((50.0, 50.0), (40.0, 40.0, 40.0), paired=False).test()
    assert (unlike.difference, unlike.p, unlike.interval.low, unlike.interval.high) == (10.0, None, 10.0, 10.0)
    assert SeedSides((50.0, 50.0), (50.0, 50.0), paired=False).test().p == 1.0


@pytest.mark.parametrize(("seeds", "deviations"), [((5, 5), (0.5, 0.5)), ((3, 8), (0.4, 1.2)), ((6, 6), (0.2, 1.0))])
def test_unpaired_tests_of_equal_methods_find_a_difference_in_one_of_twenty(
    seeds: tuple[int, int], deviations: tuple[float, float]
) -> None:
    random, found = np.random.default_rng(9), 0
    for _ in range(TRIALS):
        sides = [tuple(random.normal(50.0, s, n).tolist()) for n, s in zip(seeds, deviations, strict=True)]
        p = SeedSides(sides[0], sides[1], paired=False).test().p
        found += p is not None and p < 0.05
    assert found / TRIALS == pytest.approx(0.05, abs=0.015)


def test_three_seeds_of_fastat_benchmark_tell_two_of_45_pairs_apart() -> None:
    """The ten best methods under AutoAttack on CIFAR-10, by Welch's test and Holm's correction."""
    found = under_autoattack("cifar10")
    best = sorted(found, key=lambda method: -statistics.fmean(found[method]))[:10]
    pairs = list(combinations(best, 2))
    ps = [SeedSides(tuple(found[a]), tuple(found[b]), paired=False).test().p for a, b in pairs]
    apart = [pair for pair, p in zip(pairs, holm([p or 0.0 for p in ps]), strict=True) if p < 0.05]
    assert len(pairs) == 45
    assert apart == [("pgd_at_wa", "fgsm_uap"), ("pgd_at_wa", "gat")]


def test_pairing_by_seed_gains_little_on_fastat_benchmark() -> None:
    """Of methods with a deviation below 0.7 points: variance of differences over the sum of variances, all pairs."""
    stable = [values for values in under_autoattack("cifar10").values() if statistics.stdev(values) < 0.7]
    apart, together = 0.0, 0.0
    for one, other in combinations(stable, 2):
        variances = statistics.variance(one) + statistics.variance(other)
        found = seed_correlation(one, other)
        assert found is not None
        apart, together = apart + found.ratio * variances, together + variances
    assert round(apart / together, 2) == 0.89


@given(st.lists(st.tuples(st.integers(0, 360), st.integers(0, 360)), min_size=4, max_size=9))
def test_correlation_equals_scipy(pairs: list[tuple[int, int]]) -> None:
    first, second = (percents([pair[side] for pair in pairs]) for side in (0, 1))
    assume(len(set(first)) > 1 and len(set(second)) > 1)
    found, expected = seed_correlation(first, second), np.corrcoef(first, second)[0, 1]
    assert found is not None
    assert found.n == len(pairs)
    assert found.r == pytest.approx(expected, abs=1e-9)
    one, other = statistics.variance(first), statistics.variance(second)
    assert found.ratio == pytest.approx(1 - 2 * expected * math.sqrt(one * other) / (one + other), abs=1e-9)
    if abs(expected) < 0.999:
        interval: Any = stats.pearsonr(first, second).confidence_interval(0.95)
        assert found.interval is not None
        assert (found.interval.low, found.interval.high) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_what_has_no_correlation_or_no_interval() -> None:
    assert seed_correlation([1.0, 2.0], [1.0, 2.0]) is None
    assert seed_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
    three = seed_correlation([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    assert three is not None
    assert (three.n, three.interval) == (3, None)
    same = seed_correlation([1.0, 2.0, 4.0, 3.0], [2.0, 3.0, 5.0, 4.0])
    assert same is not None
    assert (same.r, same.ratio) == pytest.approx((1.0, 0.0))
    assert same.interval is None
