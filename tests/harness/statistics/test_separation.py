"""Which methods are separated, look after look: against each pair's own looks, and by simulation."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from itertools import combinations

import pytest

from harness.statistics.paired import ALPHA, holm
from harness.statistics.separation import Figures, Separation, separations
from harness.statistics.sequential import looks

LIMIT = 8


def drawn(seed: int, **means: float) -> dict[str, list[float]]:
    generator = random.Random(seed)
    return {name: [generator.gauss(mean, 1.0) for _ in range(LIMIT)] for name, mean in means.items()}


def last(figures: Mapping[str, Figures], limit: int = LIMIT) -> Separation:
    *_, found = separations(figures, limit)
    return found


def by_pair(found: Separation) -> dict[tuple[str, str], bool]:
    return {(pair.first, pair.second): pair.separated for pair in found.pairs}


@pytest.mark.parametrize("seed", range(4))
def test_it_is_holm_over_each_pair_s_own_looks(seed: int) -> None:
    """What is found until the limit, had every pair got every seed: Holm's rejections of p-values over all looks."""
    figures = drawn(seed, a=50.0, b=51.5, c=54.0)
    whole = {(one, other): looks(figures[one], figures[other], LIMIT)[-1].p for one, other in combinations(figures, 2)}
    expected = [p < ALPHA for p in holm(list(whole.values()))]
    found = last(figures)
    separated = by_pair(found)
    assert set(separated) == set(whole)
    for names, late in zip(whole, expected, strict=True):
        assert separated[names] <= late  # who is looked at no more is found no later
    for pair in found.pairs:
        if found.seeds == LIMIT and not pair.separated:
            assert pair.p == pytest.approx(whole[pair.first, pair.second])


def test_two_methods_by_hand() -> None:
    figures = drawn(3, a=50.0, b=53.0)
    own = looks(figures["a"], figures["b"], LIMIT)
    ends = next(place for place, look in enumerate(own) if look.p < ALPHA)
    found = list(separations(figures, LIMIT))
    assert [one.seeds for one in found] == [0, *(look.found.n for look in own[: ends + 1])]
    (pair,) = found[-1].pairs
    assert (pair.n, pair.difference, pair.interval) == (
        own[ends].found.n,
        own[ends].found.difference,
        own[ends].interval,
    )
    assert (pair.p, pair.p_holm, pair.separated, found[-1].open) == (own[ends].p, own[ends].p, True, frozenset())
    assert all(one.open == {"a", "b"} for one in found[:-1])


def test_looks_are_the_same_however_many_seeds_there_are_already() -> None:
    figures = drawn(5, a=50.0, b=50.2, c=56.0)
    every = list(separations(figures, LIMIT))
    for count in range(LIMIT + 1):
        some = list(separations({name: held[:count] for name, held in figures.items()}, LIMIT))
        assert some == every[: len(some)]


def test_a_method_that_is_apart_from_all_needs_no_more_seeds() -> None:
    figures = drawn(5, a=50.0, b=50.2, c=60.0)
    far = next(found for found in separations(figures, LIMIT) if found.seeds and "c" not in found.open)
    assert far.open == {"a", "b"}
    assert far.seeds < LIMIT
    assert last(figures | {"c": figures["c"][: far.seeds]}) == last(figures)


def test_seeds_without_a_figure_are_left_out() -> None:
    figures = drawn(2, a=50.0, b=50.5)
    held = list(figures["a"])
    with_gaps: dict[str, Figures] = {"a": [held[0], None, *held[2:]], "b": figures["b"]}
    kept = [0, *range(2, LIMIT)]
    (pair,) = last(with_gaps).pairs
    same = looks([held[n] for n in kept], [figures["b"][n] for n in kept], LIMIT)
    assert (pair.separated, pair.n) == (False, LIMIT - 1)
    assert pair.p == pytest.approx(same[-1].p)
    assert last(with_gaps).without == {"a": 1}


def test_a_method_that_always_fails_is_given_up_and_the_others_go_on() -> None:
    figures: dict[str, Figures] = {**drawn(5, a=50.0, b=50.1), "c": [None, None, None]}
    found = last(figures)
    assert (found.seeds, found.without["c"]) == (LIMIT, 3)
    assert [(pair.n, pair.p, pair.difference) for pair in found.pairs if pair.second == "c"] == [(0, 1.0, None)] * 2
    assert last({"a": figures["a"], "c": [None] * LIMIT}).seeds == 3


def test_equal_methods_reach_the_limit_and_end() -> None:
    found = last(drawn(1, a=50.0, b=50.0))
    assert (found.seeds, found.open, by_pair(found)) == (LIMIT, frozenset(), {("a", "b"): False})
    same = last({"a": [50.0] * LIMIT, "b": [50.0] * LIMIT})
    assert [(pair.p, pair.difference) for pair in same.pairs] == [(1.0, 0.0)]


def test_even_one_wrong_claim_among_three_equal_methods_is_rare() -> None:
    sweeps, limit, wrong = 500, 4, 0
    generator = random.Random(17)
    for _ in range(sweeps):
        figures = {name: [generator.gauss(50.0, 0.6) for _ in range(limit)] for name in "abc"}
        wrong += any(pair.separated for pair in last(figures, limit).pairs)
    assert wrong / sweeps <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / sweeps)
    assert wrong > 0


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="1 method"):
        list(separations({"a": []}, LIMIT))
    with pytest.raises(ValueError, match="3 to 100"):
        list(separations({"a": [], "b": []}, 2))
