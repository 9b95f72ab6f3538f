"""Paired verdicts against counts made one by one, binomial coefficients, and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.figures import Interval
from harness.statistics.paired import (
    Crossed,
    bootstrap_difference,
    cross,
    cross_by_class,
    mcnemar,
    robust_under_every,
)

verdict = st.integers(0, 1)
pairs = st.lists(st.tuples(verdict, verdict), min_size=1, max_size=300)


def columns(rows: list[tuple[int, int]]) -> tuple[bytes, bytes]:
    return bytes(a for a, _ in rows), bytes(b for _, b in rows)


def by_coefficients(first_only: int, second_only: int) -> float:
    """Twice the smaller tail of Binomial(n, 1/2), at most 1."""
    n, least = first_only + second_only, min(first_only, second_only)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(least + 1)) / (1 << n))


def test_robust_by_hand() -> None:
    assert robust_under_every([b"\1\1\0\0\1", b"\1\0\1\0\1", b"\1\1\1\0\0"]) == b"\1\0\0\0\0"
    assert robust_under_every([b"\0\1"]) == b"\0\1"
    with pytest.raises(ValueError, match="nothing"):
        robust_under_every([])


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[verdict] * n), min_size=1, max_size=50)))
def test_robust_is_the_least_of_each_image(rows: list[tuple[int, ...]]) -> None:
    several = [bytes(row[i] for row in rows) for i in range(len(rows[0]))]
    assert robust_under_every(several) == bytes(min(row) for row in rows)


@given(pairs)
def test_a_table_equals_a_slow_count(rows: list[tuple[int, int]]) -> None:
    table = cross(*columns(rows))
    assert table == Crossed(rows.count((1, 1)), rows.count((1, 0)), rows.count((0, 1)), rows.count((0, 0)))
    assert table.examples == len(rows)
    assert table.first_percent == pytest.approx(100 * sum(a for a, _ in rows) / len(rows))
    assert table.second_percent == pytest.approx(100 * sum(b for _, b in rows) / len(rows))
    assert table.difference == pytest.approx(table.first_percent - table.second_percent, abs=1e-9)


def test_verdicts_on_other_images_are_no_pairs() -> None:
    for first, second in ((b"\1", b"\1\0"), (b"", b"")):
        with pytest.raises(ValueError, match="cannot be paired"):
            cross(first, second)


def test_mcnemar_by_hand() -> None:
    # 1 against 5: both tails of Binomial(6, 1/2) have 1 + 6 of 64
    assert mcnemar(Crossed(10, 1, 5, 3)) == pytest.approx(2 * 7 / 64)
    assert mcnemar(Crossed(10, 5, 1, 3)) == pytest.approx(2 * 7 / 64)


@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 50))
def test_mcnemar_equals_binomial_coefficients(first_only: int, second_only: int, agreed: int) -> None:
    assert mcnemar(Crossed(agreed, first_only, second_only, 1)) == pytest.approx(
        by_coefficients(first_only, second_only)
    )


def test_networks_that_disagree_nowhere_do_not_differ() -> None:
    table = cross(b"\1\0\1", b"\1\0\1")
    assert (mcnemar(table), table.difference) == (1.0, 0.0)
    assert bootstrap_difference(table) == Interval(0.0, 0.0)


def test_a_difference_on_every_image_has_no_spread() -> None:
    assert bootstrap_difference(Crossed(0, 40, 0, 0)) == Interval(100.0, 100.0)


@pytest.mark.parametrize("table", [Crossed(200, 40, 20, 100), Crossed(5_000, 300, 400, 4_300)], ids=["360", "10000"])
def test_bootstrap_is_the_quantile_of_multinomial_draws(table: Crossed) -> None:
    # images drawn with replacement make counts of a multinomial law; its variance is (b + c - (b - c)^2/n) / n^2
    found = bootstrap_difference(table, "test")
    n, b, c = table.examples, table.first_only, table.second_only
    std = 100 * math.sqrt((b + c - (b - c) ** 2 / n) / n**2)
    assert found.low == pytest.approx(table.difference - 1.96 * std, abs=0.1 * std + 100 / n)
    assert found.high == pytest.approx(table.difference + 1.96 * std, abs=0.1 * std + 100 / n)
    draws = np.random.default_rng(0).multinomial(n, [b / n, c / n, 1 - (b + c) / n], size=20_000)
    low, high = np.quantile(100 * (draws[:, 0] - draws[:, 1]) / n, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.1 * std)
    assert found.high == pytest.approx(high, abs=0.1 * std)


def test_bootstrap_covers_the_truth_nineteen_times_of_twenty() -> None:
    random, covered, trials = np.random.default_rng(1), 0, 120
    for trial in range(trials):
        b, c, both, _ = random.multinomial(300, [0.15, 0.05, 0.5, 0.3])
        interval = bootstrap_difference(Crossed(int(both), int(b), int(c), 300 - int(both + b + c)), trial)
        covered += interval.low <= 10.0 <= interval.high  # the truth: 15 % - 5 %
    assert covered >= stats.binom.ppf(1e-4, trials, 0.93)


def test_bootstrap_is_the_same_for_the_same_question() -> None:
    table = Crossed(100, 31, 17, 52)
    assert bootstrap_difference(table, "pgd", "a") == bootstrap_difference(table, "pgd", "a")
    several = {bootstrap_difference(Crossed(500, 331, 217, 452), name).low for name in "abcdef"}
    assert len(several) > 1


@given(st.lists(st.tuples(verdict, verdict, st.integers(0, 3)), min_size=1, max_size=60))
def test_classes_equal_a_slow_count(rows: list[tuple[int, int, int]]) -> None:
    first, second = columns([(a, b) for a, b, _ in rows])
    tables = cross_by_class(first, second, [label for *_, label in rows], 4)
    for wanted, table in enumerate(tables):
        chosen = [(a, b) for a, b, label in rows if label == wanted]
        assert table == (cross(*columns(chosen)) if chosen else None)
