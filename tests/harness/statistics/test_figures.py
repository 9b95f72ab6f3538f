"""Statistics over seeds by hand, against numpy, and by what must not change them."""

from __future__ import annotations

import math
import statistics
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.figures import Figure, Spread, deviation, summarise

percents = st.floats(0, 100).map(lambda value: round(value, 2))
networks = st.lists(st.lists(percents, min_size=1, max_size=6), min_size=1, max_size=5)


def close(expected: float) -> Any:
    return pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_one_network_by_hand() -> None:
    # median 52; deviations from the mean 53 are -3, -1, 4: variance (9 + 1 + 16) / 2 = 13
    assert summarise([[57.0, 50.0, 52.0]]) == Figure(52.0, close(math.sqrt(13)), 3, None)


def test_an_even_number_of_seeds_takes_the_middle_of_the_middle_two() -> None:
    figure = summarise([[60.0, 50.0, 57.0, 52.0]])
    assert figure is not None
    assert figure.median == 54.5


def test_one_seed_has_no_deviation() -> None:
    assert summarise([[61.25]]) == Figure(61.25, None, 1, None)


def test_nothing_measured_is_no_figure() -> None:
    assert summarise([]) is None
    assert summarise([[], []]) is None


def test_two_networks_by_hand() -> None:
    # medians 52 and 60: their median 56, their mean 56, their variance (16 + 16) / 1; seeds' variances 13 and 3
    figure = summarise([[50.0, 52.0, 57.0], [60.0, 60.0, 63.0]])
    spread = Spread(56.0, close(math.sqrt(32)), 2)
    assert figure == Figure(56.0, close(math.sqrt(8)), 3, spread)


def test_the_two_kinds_of_seeds_are_kept_apart() -> None:
    # pooled, these six accuracies deviate by 22; no attack seed changed anything by more than 1
    figure = summarise([[30.0, 31.0, 32.0], [70.0, 71.0, 72.0]])
    assert figure is not None
    assert figure.std == close(1.0)
    assert figure.train is not None
    assert figure.train.std == close(math.sqrt(2 * 20**2))


def test_networks_that_were_not_measured_are_left_out() -> None:
    assert summarise([[], [50.0, 52.0], []]) == summarise([[50.0, 52.0]])


def test_n_is_what_every_network_has_at_least() -> None:
    figure = summarise([[50.0, 51.0, 52.0], [50.0], [50.0, 51.0]])
    assert figure is not None
    assert figure.n == 1
    assert figure.std == close(math.sqrt((1.0 + 0.5) / 2))  # of the networks that have more than one seed


@given(networks)
def test_it_equals_numpy(accuracies: list[list[float]]) -> None:
    figure = summarise(accuracies)
    assert figure is not None
    medians = [float(np.median(seeds)) for seeds in accuracies]
    variances = [float(np.var(seeds, ddof=1)) for seeds in accuracies if len(seeds) > 1]
    assert figure.median == close(float(np.median(medians)))
    assert figure.std == (close(math.sqrt(float(np.mean(variances)))) if variances else None)
    if len(medians) == 1:
        assert figure.train is None
    else:
        assert figure.train is not None
        assert figure.train.mean == close(float(np.mean(medians)))
        assert figure.train.std == close(float(np.std(medians, ddof=1)))
        assert figure.train.n == len(medians)


@given(networks, st.randoms(use_true_random=False))
def test_the_order_of_seeds_and_of_networks_plays_no_part(accuracies: list[list[float]], random: Random) -> None:
    shuffled = [list(seeds) for seeds in accuracies]
    for seeds in shuffled:
        random.shuffle(seeds)
    random.shuffle(shuffled)
    before, after = summarise(accuracies), summarise(shuffled)
    assert before is not None
    assert after is not None
    assert (after.median, after.n) == (before.median, before.n)
    assert after.std == (None if before.std is None else close(before.std))
    assert (after.train is None) == (before.train is None)
    if before.train is not None and after.train is not None:
        assert (after.train.mean, after.train.std) == (close(before.train.mean), close(before.train.std or 0.0))


@given(networks, st.data())
def test_a_shift_of_each_network_by_its_own_amount_leaves_the_deviation_over_attack_seeds(
    accuracies: list[list[float]], data: st.DataObject
) -> None:
    shifts = data.draw(st.lists(st.floats(-50, 50), min_size=len(accuracies), max_size=len(accuracies)))
    before = summarise(accuracies)
    after = summarise([[a + shift for a in seeds] for seeds, shift in zip(accuracies, shifts, strict=True)])
    assert before is not None
    assert after is not None
    assert after.std == (None if before.std is None else close(before.std))


@given(networks)
def test_the_median_lies_among_the_accuracies(accuracies: list[list[float]]) -> None:
    figure = summarise(accuracies)
    assert figure is not None
    everything = [a for seeds in accuracies for a in seeds]
    assert min(everything) <= figure.median <= max(everything)
    assert figure.std is None or 0 <= figure.std <= 100


@given(st.lists(st.one_of(st.floats(0, 100), st.integers(0, 360).map(lambda n: 100 * n / 360)), min_size=2, max_size=9))
def test_the_deviation_is_the_librarys_to_the_last_bit(values: list[float]) -> None:
    assert deviation(values) == statistics.stdev(values)


def test_one_value_has_no_deviation() -> None:
    with pytest.raises(ValueError, match="1 values"):
        deviation([1.0])
