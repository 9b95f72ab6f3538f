"""Intervals of ranks and of changes under the bootstrap: cases known by hand, and a slow formula."""

from __future__ import annotations

import random
import statistics

import numpy as np
import pytest

from harness.statistics.resampled import RankInterval, bootstrap_change, rank_intervals


def drawn(seed: int, share: float, images: int = 30) -> bytes:
    draws = random.Random(seed)
    return bytes(int(draws.random() < share) for _ in range(images))


def test_rows_that_always_differ_keep_their_ranks() -> None:
    best, worst = bytes([1] * 20), bytes([0] * 20)
    middle = bytes([1, 0] * 10)
    assert rank_intervals([[[middle]], [[best]], [[worst]]])[1] == RankInterval(1, 1, 1)
    # the middle row is worse than the best unless every image drawn is one that it has right: 2^-20
    assert rank_intervals([[[middle]], [[best]], [[worst]]]) == [
        RankInterval(2, 2, 2),
        RankInterval(1, 1, 1),
        RankInterval(3, 3, 3),
    ]


def test_equal_rows_share_their_rank_in_every_resample() -> None:
    row = [[drawn(1, 0.5)], [drawn(2, 0.5)]]
    assert rank_intervals([row, row]) == [RankInterval(1, 1, 1)] * 2


def test_one_image_decides_in_as_many_resamples_as_draw_it() -> None:
    # the rows differ on one image of 20; it is drawn in 1 - (19/20)^20 = 64 % of resamples, else the ranks are equal
    one, other = bytes([1] * 20), bytes([0] + [1] * 19)
    assert rank_intervals([[[one]], [[other]]]) == [RankInterval(1, 1, 1), RankInterval(2, 1, 2)]


def test_training_seeds_are_drawn_too() -> None:
    # on every image alike: the first row's networks are right or wrong as a whole, the second's are half right
    right, wrong, half = bytes([1] * 40), bytes(40), bytes([1, 0] * 20)
    rows = [[[right], [right], [wrong]], [[half], [half], [half]]]
    # two wrong networks or more of three drawn: 3 * (1/3)^2 * (2/3) + (1/3)^3 = 7/27 of resamples
    assert rank_intervals(rows) == [RankInterval(1, 1, 2), RankInterval(2, 1, 2)]
    alone = [[row[0]] for row in rows]
    assert rank_intervals(alone) == [RankInterval(1, 1, 1), RankInterval(2, 2, 2)]


def test_ranks_agree_with_a_slow_bootstrap() -> None:
    rows = [[[drawn(10 * r + 3 * n + s, 0.5 + 0.06 * r) for s in range(3)] for n in range(3)] for r in range(4)]
    found = rank_intervals(rows)
    draws = random.Random(5)
    ranks: list[list[int]] = []
    for _ in range(2000):
        images = draws.choices(range(30), k=30)
        seeds = draws.choices(range(3), k=3)
        figures = [
            statistics.median(statistics.median(sum(v[i] for i in images) for v in row[n]) for n in seeds)
            for row in rows
        ]
        ranks.append([1 + sum(other > own for other in figures) for own in figures])
    for row, interval in enumerate(found):
        held = sorted(resample[row] for resample in ranks)
        assert abs(held[50] - interval.low) <= 1
        assert abs(held[1950] - interval.high) <= 1
        assert interval.low <= interval.rank <= interval.high
    figures = [statistics.median(statistics.median(map(sum, network)) for network in row) for row in rows]
    assert [i.rank for i in found] == [1 + sum(other > own for other in figures) for own in figures]


def test_what_cannot_be_paired_is_refused() -> None:
    with pytest.raises(ValueError, match="rows of \\[1, 2\\] networks"):
        rank_intervals([[[b"\1"]], [[b"\1"], [b"\0"]]])
    with pytest.raises(ValueError, match="different numbers of images"):
        rank_intervals([[[b"\1"]], [[b"\1\0"]]])


def test_a_change_has_the_interval_of_a_paired_difference() -> None:
    first, second = drawn(1, 0.8, 200), drawn(2, 0.6, 200)
    interval = bootstrap_change([first], [second])
    differences = np.frombuffer(second, np.uint8).astype(float) - np.frombuffer(first, np.uint8)
    half = 1.96 * differences.std() / np.sqrt(200)
    centre = differences.mean()
    assert (interval.low, interval.high) == pytest.approx((100 * (centre - half), 100 * (centre + half)), abs=1.0)
    assert bootstrap_change([first, first, first], [second]) == interval  # the median of equal attack seeds
    none = bootstrap_change([first], [first])
    assert (none.low, none.high) == (0, 0)
