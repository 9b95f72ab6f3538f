"""Evaluation sets: all images, the first, or a sample that is balanced over the classes."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.plugin.images import Images, balanced_order, evaluation_set

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60)


@given(LABELS)
def test_every_beginning_is_as_even_as_the_counts_allow(labels: list[int]) -> None:
    order, have = balanced_order(tuple(labels)), Counter(labels)
    assert sorted(order) == list(range(len(labels)))
    for n in range(1, len(labels) + 1):
        taken = Counter(labels[place] for place in order[:n])
        most = max(taken.values())
        assert all(taken[label] >= min(most - 1, have[label]) for label in have)


@given(LABELS)
def test_the_order_depends_on_the_labels_alone_and_samples_nest(labels: list[int]) -> None:
    assert balanced_order(tuple(labels)) == balanced_order(tuple(labels))
    small, large = (Images(n, "balanced").places(labels) for n in (len(labels) // 2, len(labels)))
    assert large[: len(small)] == small


def test_the_order_is_fixed_for_ever() -> None:
    """Stored verdicts are in this order: by hand, from SHA-256 of the place within the class."""
    assert balanced_order((0, 0, 0, 1, 1, 1, 2)) == (0, 3, 6, 1, 4, 2, 5)
    assert balanced_order((2, 1, 0)) == (2, 1, 0), "a round goes by the classes, not by which image is first"


def test_neighbours_within_a_class_are_spread() -> None:
    order = balanced_order((0,) * 100)
    assert order != tuple(range(100))
    assert sum(abs(a - b) == 1 for a, b in pairwise(order)) < 10


@pytest.mark.parametrize(
    ("limit", "expected", "told"),
    [
        (None, Images(10), "10 test images"),
        (10, Images(10), "10 test images"),
        (4, Images(4, "balanced"), "4 test images, balanced over the classes"),
    ],
)
def test_what_a_limit_asks_for(limit: int | None, expected: Images, told: str) -> None:
    assert evaluation_set(limit, 10) == expected
    assert expected.described(10) == told


def test_older_limits_are_the_first_images() -> None:
    assert Images(4).described(10) == "the first 4 test images"
    assert Images(4).places([0] * 10) == [0, 1, 2, 3]


def test_a_sample_of_data_sorted_by_class_has_every_class() -> None:
    labels = torch.arange(10).repeat_interleave(36).tolist()
    for n in (10, 34, 100):
        counts = Counter(labels[place] for place in Images(n, "balanced").places(labels))
        assert len(counts) == 10
        assert max(counts.values()) - min(counts.values()) <= 1
