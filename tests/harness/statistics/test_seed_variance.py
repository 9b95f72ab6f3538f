"""The test set's share of the seeds' variance: by covariances image by image, by formula 20, and by simulation."""

from __future__ import annotations

import math
import statistics
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.statistics.seed_variance import SeedVariance, seed_variance

TRIALS = 1_000
verdicts = st.integers(2, 5).flatmap(
    lambda networks: st.lists(st.tuples(*[st.integers(0, 1)] * networks), min_size=2, max_size=12)
)


def of_columns(images: list[tuple[int, ...]]) -> list[list[bytes]]:
    """One attack seed; an image's verdicts stand together."""
    return [[bytes(image[network] for image in images)] for network in range(len(images[0]))]


def covariance(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    means = statistics.fmean(one), statistics.fmean(other)
    return sum((a - means[0]) * (b - means[1]) for a, b in zip(one, other, strict=True)) / (len(one) - 1)


@given(verdicts)
def test_what_lasts_is_the_mean_covariance_of_two_images(images: list[tuple[int, ...]]) -> None:
    accuracies = [statistics.fmean(image[network] for image in images) for network in range(len(images[0]))]
    found = seed_variance(of_columns(images))
    if len(set(accuracies)) == 1:
        assert found is None
        return
    assert found is not None
    whole = statistics.variance(accuracies)
    lasting = statistics.fmean(covariance(one, other) for one, other in combinations(images, 2))
    assert found.std == pytest.approx(100 * math.sqrt(whole))
    assert found.share == pytest.approx(1 - lasting / whole, abs=1e-9)
    assert found.lasting == pytest.approx(100 * math.sqrt(max(0.0, lasting)), abs=1e-4)


@given(verdicts)
def test_it_is_one_minus_formula_20(images: list[tuple[int, ...]]) -> None:
    """Kuder and Richardson's reliability of a test of n items, with variances of whole populations."""
    n, totals = len(images), [sum(image[network] for image in images) for network in range(len(images[0]))]
    assume(len(set(totals)) > 1)
    spread = sum((p := statistics.fmean(image)) * (1 - p) for image in images)
    reliability = n / (n - 1) * (1 - spread / statistics.pvariance(totals))
    found = seed_variance(of_columns(images))
    assert found is not None
    assert found.share == pytest.approx(1 - reliability)


def test_attack_seeds_are_averaged_by_hand() -> None:
    # attack seed 0: the verdicts 11 and 00: covariance 1/2 of a variance 1/2; seed 1: 11 and 10: 0 of 1/8
    found = seed_variance([[b"\1\1", b"\1\1"], [b"\0\0", b"\1\0"]])
    assert found is not None
    assert found.share == pytest.approx(1 - (0.5 + 0.0) / (0.5 + 0.125))
    assert (found.networks, found.examples) == (2, 2)
    assert found.std == pytest.approx(100 * math.sqrt((0.5 + 0.125) / 2))
    # F of 1 and 1 degrees is the square of a Cauchy value: its 2.5 % point is tan^2(0.0125 pi)
    assert found.interval.low == pytest.approx(0.2 * math.tan(0.0125 * math.pi) ** 2)
    assert found.interval.high == 1.0


def test_too_few_networks_or_images_have_no_share() -> None:
    assert seed_variance([]) is None
    assert seed_variance([[b"\1\0"]]) is None
    assert seed_variance([[b"\1"], [b"\0"]]) is None
    assert seed_variance([[b"\1\0"], [b"\0\1"]]) is None  # the same accuracy


def test_other_images_or_attack_seeds_are_refused() -> None:
    for networks in ([[b"\1\0"], [b"\1"]], [[b"\1\0"], [b"\1\0", b"\1\1"]]):
        with pytest.raises(ValueError, match="cannot be put together"):
            seed_variance(networks)


@pytest.mark.parametrize("deviation", [0.005, 0.03])
def test_the_interval_covers_the_truth_and_what_lasts_is_found(deviation: float) -> None:
    """Networks that are right on an image of difficulty p with probability p + d, where d is the network's own."""
    random, networks, examples = np.random.default_rng(11), 5, 360
    difficulties = 0.1 + 0.8 * random.beta(0.6, 0.4, 200_000)
    alone = (np.mean(difficulties * (1 - difficulties)) - deviation**2) / examples
    truth = alone / (alone + deviation**2)
    found: list[SeedVariance] = []
    for _ in range(TRIALS):
        chances = random.choice(difficulties, examples) + random.normal(0.0, deviation, (networks, 1))
        drawn = (random.random((networks, examples)) < chances).astype(np.uint8)
        split = seed_variance([[row.tobytes()] for row in drawn])
        found += [] if split is None else [split]
    covered = np.mean([one.interval.low <= truth <= one.interval.high for one in found])
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / TRIALS))
    lasting = [(one.std / 100) ** 2 * (1 - one.share) for one in found]
    assert np.mean(lasting) == pytest.approx(deviation**2, abs=4 * float(np.std(lasting)) / math.sqrt(TRIALS))
