"""Kendall's tau and its interval: against scipy, against resamples one by one, and by what it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.resampled import kendall_tau, tau_interval

figures = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=9)


def drawn(
    random: np.random.Generator, accuracies: list[float], images: int, networks: int = 1
) -> list[list[list[bytes]]]:
    """Rows of networks with one attack seed; each image is right with the row's probability."""
    return [
        [[(random.random(images) < accuracy).astype(np.uint8).tobytes()] for _ in range(networks)]
        for accuracy in accuracies
    ]


@given(figures)
def test_tau_equals_scipy(pairs: list[tuple[int, int]]) -> None:
    first, second = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    found = kendall_tau(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(stats.kendalltau(first, second).statistic)


def test_tau_by_hand() -> None:
    # of six pairs of four rows five agree and one does not: (5 - 1) / 6
    assert kendall_tau([4, 3, 2, 1], [4, 3, 1, 2]) == pytest.approx(4 / 6)
    assert kendall_tau([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert kendall_tau([1], [2]) is None


@pytest.mark.parametrize("same", [True, False])
def test_the_interval_is_the_quantile_of_slow_resamples(same: bool) -> None:
    random, accuracies = np.random.default_rng(2), [0.7, 0.66, 0.6, 0.4]
    first, second = drawn(random, accuracies, 60, networks=2), drawn(random, accuracies, 60, networks=2)
    found = tau_interval(first, second, "test", same_images=same, same_seeds=same)
    boards = [np.array([[np.frombuffer(n[0], np.uint8) for n in row] for row in rows]) for rows in (first, second)]
    taus = []
    for _ in range(1_500):
        draws = [(random.integers(0, 60, 60), random.integers(0, 2, 2)) for _ in boards]
        chosen = [draws[0], draws[0] if same else draws[1]]
        one, other = (
            np.median(board[:, seeds][:, :, images].mean(axis=2), axis=1)
            for board, (images, seeds) in zip(boards, chosen, strict=True)
        )
        taus.append(np.nan_to_num(stats.kendalltau(one, other).statistic))
    low, high = np.quantile(taus, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.2)  # of four rows tau takes steps of 1/3 or less


def test_boards_that_are_one_agree_in_every_resample_if_drawn_alike() -> None:
    rows = drawn(np.random.default_rng(4), [0.8, 0.75, 0.7, 0.4], 50, networks=3)
    alike = tau_interval(rows, rows, same_images=True, same_seeds=True)
    assert (alike.low, alike.high) == (1.0, 1.0)
    apart = tau_interval(rows, rows, same_images=False, same_seeds=False)
    assert apart.low < 1.0
    images_alone = tau_interval(rows, rows, same_images=True, same_seeds=False)
    assert apart.low <= images_alone.low < 1.0


def test_boards_of_other_sizes_may_be_compared_and_of_other_rows_not() -> None:
    random = np.random.default_rng(5)
    large, small = drawn(random, [0.9, 0.5, 0.1], 300, networks=2), drawn(random, [0.9, 0.5, 0.1], 80)
    found = tau_interval(large, small, same_images=False, same_seeds=False)
    assert (found.low, found.high) == (1.0, 1.0)  # the rows lie far apart
    with pytest.raises(ValueError, match="orders of 3 and of 2 rows"):
        tau_interval(large, small[:2], same_images=False, same_seeds=False)


@pytest.mark.slow
def test_the_interval_holds_the_true_tau() -> None:
    """Of five methods whose order differs in one pair between two protocols: tau is 4/5."""
    random, first, second = np.random.default_rng(8), [0.7, 0.65, 0.6, 0.5, 0.4], [0.6, 0.62, 0.5, 0.4, 0.3]
    truth, covered, trials = kendall_tau(first, second), 0, 80
    assert truth == pytest.approx(0.8)
    for trial in range(trials):
        one, other = drawn(random, first, 360), drawn(random, second, 360)
        found = tau_interval(one, other, trial, same_images=False, same_seeds=False)
        covered += found.low <= 0.8 + 1e-9 and found.high >= 0.8 - 1e-9
    assert covered >= stats.binom.ppf(1e-4, trials, 0.93)
