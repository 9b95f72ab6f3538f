"""The lowest values, ties unbroken: by hand, and what holds for any values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.figures.tops import lowest_groups
from harness.statistics.agreement import most_vulnerable


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5, 1, 4, 2, 3], [False, True, False, False, False]),  # all differ: exactly a fifth
        ([0, 10, 10, 10, 10, 10, 10, 10, 10, 10], [True] + [False] * 9),  # a tenth is nearer than all
        ([0, 0, 0, 0, 1, 2, 2, 2, 2, 2], [True] * 4 + [False] * 6),  # two fifths: nearer than half
        ([0, 1, 1, 9, 9, 9, 9, 9, 9, 9], [True] + [False] * 9),  # 1 and 3 of 10 are equally near: the smaller set
        ([7, 7, 7], [False, False, False]),
        ([], []),
    ],
)
def test_by_hand(values: list[float], expected: list[bool]) -> None:
    assert lowest_groups(values) == expected


@given(st.lists(st.integers(0, 10), max_size=60), st.permutations(range(60)))
def test_whole_groups_of_the_smallest_and_nearest_of_all_such_sets(values: list[int], order: list[int]) -> None:
    taken = lowest_groups(values)
    borders = sorted(set(values))
    if len(borders) < 2:
        assert not any(taken)
        return
    sets = [[value <= border for value in values] for border in borders]
    away = [abs(sum(each) - -(-len(values) // 5)) for each in sets]
    assert taken == sets[away.index(min(away))]  # the first of equally near ones is the smallest
    assert any(taken)
    assert not all(taken)
    places = [i for i in order if i < len(values)]
    assert lowest_groups([values[i] for i in places]) == [taken[i] for i in places]


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=100, unique=True))
def test_without_ties_it_is_the_set_of_the_comparison(values: list[float]) -> None:
    assert [i for i, taken in enumerate(lowest_groups(values)) if taken] == list(most_vulnerable(values))
