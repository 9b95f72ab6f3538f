"""The most vulnerable images by hand, against a slow count, and what independent sets would share."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.agreement import Agreement, agreement, most_vulnerable

margins = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=1, max_size=40)


def test_by_hand() -> None:
    first = [0.9, -0.8, 0.1, -0.3, 0.5, 0.6, 0.7, 0.2, 0.3, 0.4]
    second = [-0.9, -0.7, 0.2, 0.8, 0.5, 0.6, 0.7, 0.3, 0.4, 0.9]
    found = agreement(first, second, 0.2)
    assert found == Agreement((1, 3), (0, 1), 10)
    assert (found.shared, found.overlap, found.expected) == (1, 0.5, 0.2)
    assert found.jaccard == pytest.approx(1 / 3)


def test_among_equals_the_first_images_are_taken() -> None:
    assert most_vulnerable([0.0, 0.0, 0.0, 0.0, 0.0], 0.4) == (0, 1)
    assert most_vulnerable([0.5, 0.0, 0.0, -1.0, 0.0], 0.4) == (1, 3)


def test_an_answer_that_is_no_number_is_the_most_vulnerable() -> None:
    assert most_vulnerable([-0.9, math.nan, -1.0, 0.5], 0.25) == (1,)


@pytest.mark.parametrize(("share", "n", "k"), [(0.2, 10, 2), (0.2, 11, 3), (0.07, 100, 7), (0.001, 5, 1), (1.0, 4, 4)])
def test_the_count_is_the_share_rounded_up(share: float, n: int, k: int) -> None:
    assert k == math.ceil(Fraction(str(share)) * n)  # exact
    assert len(most_vulnerable([0.0] * n, share)) == k


@pytest.mark.parametrize(("values", "share"), [([], 0.2), ([1.0], 0.0), ([1.0], 1.1), ([1.0], math.nan)], ids=str)
def test_no_share_of_no_images(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="no share"):
        most_vulnerable(values, share)


def test_other_images_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        agreement([0.0], [0.0, 1.0])


@given(margins, st.floats(0.01, 1))
def test_no_image_outside_is_more_vulnerable(values: list[float], share: float) -> None:
    chosen = most_vulnerable(values, share)
    rest = [i for i in range(len(values)) if i not in chosen]
    assert all((values[i], i) < (values[j], j) for i in chosen for j in rest)


@given(margins)
def test_sets_agree_with_themselves(values: list[float]) -> None:
    found = agreement(values, [2 * v + 1 for v in values])
    assert (found.overlap, found.jaccard) == (1.0, 1.0)


def test_independent_sets_share_what_is_expected() -> None:
    random = np.random.default_rng(0)
    found = [agreement(*random.normal(size=(2, 500)).tolist()) for _ in range(400)]
    # hypergeometric: k = 100 of 500, mean 20 shared, variance 100 * 0.2 * 0.8 * 400/499; the mean of 400 of them
    error = math.sqrt(100 * 0.2 * 0.8 * 400 / 499 / 400) / 100
    assert np.mean([f.overlap for f in found]) == pytest.approx(found[0].expected, abs=4 * error)
