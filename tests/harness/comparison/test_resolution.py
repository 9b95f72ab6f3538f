"""What the seeds of two entrants can tell, on a store made by hand: against the same questions asked of t itself."""

from __future__ import annotations

import math
import statistics

import pytest
from scipy import stats

from harness.comparison.naming import Where
from harness.comparison.resolution import POINTS, points_of, resolution
from harness.errors import HarnessError
from harness.statistics.seed_variance import seed_variance
from tests.harness.comparison.kept import Kept, Put, run

OURS, THEIRS = ["11110000", "11111000", "11111110"], ["11100000", "11111000", "11111000"]


def put_two(put: Put, ours: list[str] = OURS, theirs: list[str] = THEIRS) -> None:
    for seed, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        put("sat", {"pgd": [one]}, seed)
        put("lrat", {"pgd": [other]}, seed)


def test_pairs_are_those_of_the_rows_that_compete(store: Kept, put: Put) -> None:
    put_two(put)
    put("trades", {"pgd": ["11000000"]}, 7)
    put("sat", {"pgd": ["11000000"]}, network="resnet18")
    compared = run(store, "sat", "lrat", network="smallcnn")
    for where, pairs in ((None, 6), (Where(), 6), (Where(network="smallcnn"), 3), (Where(checkpoint="last"), 6)):
        assert resolution(store, compared, where=where).comparisons == pairs


def test_every_number_by_hand(store: Kept, put: Put) -> None:
    put_two(put)
    put("trades", {"pgd": ["11000000"]}, 7)  # a third row: three pairs
    put("gairat", {"natural": ["11000000"]})  # no figure in this column
    put("slow", {"pgd": ["11000000"]}, training={"epochs": 5})  # another board
    found = resolution(store, run(store, "sat", "lrat"), (12.5, 100.0))
    assert found.sides.first == (50.0, 62.5, 87.5)
    assert found.sides.second == (37.5, 62.5, 62.5)
    std = statistics.stdev([12.5, 0.0, 25.0])
    assert found.noise.std == pytest.approx(std)
    assert (found.noise.known, found.comparisons) == (2, 3)
    assert [(row.seeds, row.comparisons) for row in found.smallest] == [(3, 1), (3, 3)]
    for row, alpha in zip(found.smallest, (0.05, 0.05 / 3), strict=True):
        bound, centre = stats.t.ppf(1 - alpha / 2, 2), row.difference / std * math.sqrt(3)
        assert stats.nct.sf(bound, 2, centre) == pytest.approx(0.8, abs=1e-3)
    assert [(row.difference, row.comparisons) for row in found.needed] == [(12.5, 1), (12.5, 3), (100.0, 1), (100.0, 3)]
    needed = found.needed[0].seeds
    assert needed is not None
    powers = [stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, 12.5 / std * math.sqrt(n)) for n in (needed - 1, needed)]
    assert powers[0] < 0.8 <= powers[1]
    assert all((row.most_seeds or math.inf) >= (row.seeds or math.inf) for row in found.needed)


def test_the_test_set_s_share_is_of_the_attack_seeds_that_all_networks_have(store: Kept, put: Put) -> None:
    ours = [["11110000", "11100001"], ["11111000"], ["11111110", "11111111"]]
    for seed, of_seeds in enumerate(ours):
        put("sat", {"pgd": of_seeds}, seed)
        put("lrat", {"pgd": [THEIRS[seed]]}, seed)
    first, second = resolution(store, run(store, "sat", "lrat")).variances
    for found, verdicts in ((first, [of_seeds[0] for of_seeds in ours]), (second, THEIRS)):
        assert found == seed_variance([[bytes(map(int, text))] for text in verdicts])
        assert found is not None


def test_networks_that_are_not_paired_all_count_for_the_test_set_s_share(store: Kept, put: Put) -> None:
    for seed, (one, other) in enumerate(zip(OURS, THEIRS, strict=True)):
        put("sat", {"pgd": [one]}, seed)
        put("lrat", {"pgd": [other]}, seed + 7)  # no seed in common: one pair of networks is shown
    first, second = resolution(store, run(store, "sat", "lrat")).variances
    for found, verdicts in ((first, OURS), (second, THEIRS)):
        assert found is not None
        assert found == seed_variance([[bytes(map(int, text))] for text in verdicts])


def test_two_rows_alone_are_one_pair(store: Kept, put: Put) -> None:
    put_two(put)
    found = resolution(store, run(store, "sat", "lrat"))
    assert found.comparisons == 1
    assert [row.comparisons for row in (*found.smallest, *found.needed)] == [1] * (1 + len(POINTS))


def test_entrants_of_two_protocols_share_no_board(store: Kept, put: Put) -> None:
    for seed in range(3):
        put("sat", {"pgd": [OURS[seed]]}, seed)
        put("lrat", {"pgd": [THEIRS[seed]]}, seed, training={"epochs": 5})
    assert resolution(store, run(store, "sat", "lrat")).comparisons is None


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        (OURS[:1], THEIRS[:1], "two training seeds a side"),
        (["11110000", "11111000"], ["11100000", "11110000"], "the same for all training seeds"),
    ],
)
def test_without_a_deviation_it_is_refused(
    store: Kept, put: Put, ours: list[str], theirs: list[str], told: str
) -> None:
    put_two(put, ours, theirs)
    with pytest.raises(HarnessError, match=told):
        resolution(store, run(store, "sat", "lrat"))


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "one", "1,,2", "101"])
def test_points_that_are_no_differences_are_refused(text: str) -> None:
    with pytest.raises(HarnessError, match="name differences in points"):
        points_of(text)


def test_points_are_sorted_and_each_once() -> None:
    assert points_of("2, 0.5,2") == (0.5, 2.0)
    assert points_of(None) == POINTS
