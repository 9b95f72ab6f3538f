"""At chance, clear of chance, or neither: by hand, by sums of the binomial law, and as properties."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.stats import binom, binomtest

from harness.statistics.collapse import at_chance, chance, clear, clear_of_chance, collapsed_under
from harness.statistics.exact_bounds import at_least, at_most, exact_interval, lower_bound, upper_bound
from tests.harness.statistics.fastat import under_autoattack

CLASSES = some.integers(2, 200)
IMAGES = some.integers(1, 2000)


@given(some.integers(1, 60).flatmap(lambda of: some.tuples(some.integers(0, of), some.just(of))))
def test_the_interval_is_scipys(counted: tuple[int, int]) -> None:
    count, of = counted
    theirs, ours = binomtest(count, of).proportion_ci(0.95, method="exact"), exact_interval(count, of)
    assert (ours.low, ours.high) == pytest.approx((100 * theirs.low, 100 * theirs.high), abs=1e-9)


def test_the_interval_by_hand() -> None:
    """Of n draws none: 1 - 0.025^(1/n) is the greatest rate that shows none with 2.5 %."""
    for n in (1, 3, 5):
        assert exact_interval(0, n).high == pytest.approx(100 * (1 - 0.025 ** (1 / n)), abs=1e-9)
        assert exact_interval(n, n).low == pytest.approx(100 * 0.025 ** (1 / n), abs=1e-9)
        assert (exact_interval(0, n).low, exact_interval(n, n).high) == (0.0, 100.0)


@pytest.mark.parametrize("of", [1, 3, 5, 10])
@pytest.mark.parametrize("rate", [0.01, 0.1, 1 / 3, 0.5])
def test_the_interval_covers_the_rate(of: int, rate: float) -> None:
    held = [k for k in range(of + 1) if exact_interval(k, of).low <= 100 * rate <= exact_interval(k, of).high]
    assert sum(binom.pmf(k, of, rate) for k in held) >= 0.95


@given(
    some.integers(1, 400).flatmap(lambda of: some.tuples(some.integers(0, of), some.just(of))),
    some.floats(0.001, 0.999),
)
def test_the_tails_are_scipys(counted: tuple[int, int], share: float) -> None:
    count, of = counted
    assert at_most(count, of, share) == pytest.approx(binom.cdf(count, of, share), rel=1e-9, abs=1e-290)
    assert at_least(count, of, share) == pytest.approx(binom.sf(count - 1, of, share), rel=1e-9, abs=1e-290)


def test_the_tails_of_many_draws() -> None:
    for count in (0, 900, 1_000, 1_050, 1_200, 9_999, 10_000):
        assert at_most(count, 10_000, 0.1) == pytest.approx(binom.cdf(count, 10_000, 0.1), rel=1e-9, abs=1e-290)
    assert [at_most(-1, 5, 0.5), at_most(5, 5, 0.5), at_least(0, 5, 0.5), at_least(6, 5, 0.5)] == [0.0, 1.0, 1.0, 0.0]


@given(some.integers(1, 600).flatmap(lambda of: some.tuples(some.integers(0, of), some.just(of))), CLASSES)
def test_the_tests_are_those_of_the_bounds(counted: tuple[int, int], classes: int) -> None:
    count, of = counted
    lower, upper = lower_bound(count, of), upper_bound(count, of)
    assert at_chance(count, of, classes) == (lower <= chance(classes) and upper < clear(classes))
    assert clear_of_chance(count, of, classes) == (lower > clear(classes))


def test_the_levels_by_hand() -> None:
    assert [chance(k) for k in (2, 10, 100)] == [0.5, 0.1, 0.01]
    assert [clear(k) for k in (2, 3, 10, 100)] == pytest.approx([0.75, 2 / 3, 0.2, 0.02])


@pytest.mark.parametrize(
    ("right", "images", "classes", "expected"),
    [
        (0, 360, 10, True),
        (36, 360, 10, True),  # one class of ten, always
        (46, 360, 10, True),  # 12.8 %: its lower bound is 9.99 %
        (47, 360, 10, False),
        (46.5, 360, 10, False),  # half an image more may be above
        (330, 10_000, 10, True),
        (1_050, 10_000, 10, True),
        (1_051, 10_000, 10, False),
        (2, 10, 10, False),  # of ten images nothing is shown
        (0, 5, 10, False),
        (180, 360, 2, True),
        (100, 10_000, 100, True),
        (118, 10_000, 100, False),
    ],
)
def test_at_chance_by_hand(right: float, images: int, classes: int, expected: bool) -> None:
    assert at_chance(right, images, classes) is expected


def test_the_bounds_by_sums_of_the_binomial_law() -> None:
    """47 of 360 or more have 5 % at most if the accuracy is chance, 46 more; 46 or fewer have 5 % at most at twice."""
    assert binom.sf(46, 360, 0.1) < 0.05 <= binom.sf(45, 360, 0.1)
    assert binom.cdf(46, 360, 0.2) < 0.05


@given(IMAGES, CLASSES, some.data())
def test_no_accuracy_is_both_and_more_right_images_never_lead_to_chance(
    images: int, classes: int, data: some.DataObject
) -> None:
    right = data.draw(some.integers(0, images))
    assert not (at_chance(right, images, classes) and clear_of_chance(right, images, classes))
    more = data.draw(some.integers(right, images))
    assert at_chance(right, images, classes) >= at_chance(more, images, classes)
    assert clear_of_chance(right, images, classes) <= clear_of_chance(more, images, classes)


@pytest.mark.parametrize(("images", "classes"), [(60, 10), (360, 10), (500, 10), (500, 100), (10_000, 10), (200, 2)])
def test_a_network_of_twice_chance_is_hardly_ever_found(images: int, classes: int) -> None:
    found = [right for right in range(images + 1) if at_chance(right, images, classes)]
    assert found == list(range(len(found)))
    assert sum(binom.pmf(right, images, clear(classes)) for right in found) <= 0.05


def test_a_method_without_robustness_has_no_collapsed_seed() -> None:
    assert collapsed_under([0, 0, 0, 0, 0], 360, 10) == [False] * 5
    assert collapsed_under([0], 360, 10) == [False]
    assert collapsed_under([], 360, 10) == []


def test_beside_a_robust_network_a_broken_one_collapsed() -> None:
    assert collapsed_under([4797, 4612, 330], 10_000, 10) == [False, False, True]
    assert collapsed_under([0, 0, 0, 240], 360, 10) == [True, True, True, False]
    assert collapsed_under([40, 80, 36], 360, 10) == [False] * 3  # 22 % is not shown to be above 20 %
    assert collapsed_under([40, 86, 60], 360, 10) == [True, False, False]  # 23.9 % is; 16.7 % is above chance


@given(some.lists(some.integers(0, 360), min_size=1, max_size=6), some.integers(0, 360), some.randoms())
def test_order_does_not_matter_and_another_network_takes_no_failure_back(
    rights: list[int], more: int, draws: object
) -> None:
    before = dict(zip(rights, collapsed_under(rights, 360, 10), strict=True))  # equal counts fare alike
    turned = rights[::-1]
    assert dict(zip(turned, collapsed_under(turned, 360, 10), strict=True)) == before
    after = dict(zip([*rights, more], collapsed_under([*rights, more], 360, 10), strict=True))
    assert all(after[right] for right in rights if before[right])


@pytest.mark.parametrize(("dataset", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_of_fastats_networks_one_collapsed(dataset: str, classes: int) -> None:
    found = {
        (method, seed)
        for method, percents in under_autoattack(dataset).items()
        for seed, hit in enumerate(collapsed_under([100 * p for p in percents], 10_000, classes))
        if hit
    }
    assert found == ({("elle", 2)} if dataset == "cifar10" else set())
    assert all(math.isclose(100 * p, round(100 * p)) for ps in under_autoattack(dataset).values() for p in ps)


@pytest.mark.parametrize("right", [0, 20, 199, 200])
def test_with_one_class_no_network_is_at_chance(right: int) -> None:
    """An output that is no number counts as wrong, so that even one class can be missed."""
    assert not at_chance(right, 200, 1)
    assert collapsed_under([right, 200], 200, 1) == [False, False]
