"""What the training seeds of two entrants can tell apart, and how many seeds a difference needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.comparison.comparison import Comparison
from harness.comparison.naming import Where
from harness.errors import HarnessError
from harness.leaderboard.columns import Column
from harness.leaderboard.contestants import Contestant, contestants
from harness.statistics.paired import ALPHA
from harness.statistics.power import POWER, SeedNoise, of_one_of, seeds_needed, smallest_difference
from harness.statistics.seed_sides import SeedSides
from harness.statistics.seed_variance import SeedVariance, seed_variance
from harness.store.store import Store

POINTS = (0.5, 1.0, 2.0)
"""Differences to plan for, in points, unless the user names others."""


@dataclass(frozen=True)
class Detectable:
    """A true difference in points, and the seeds a method that find it with power ``POWER``.

    Attributes:
        seeds: None: over ``MOST_SEEDS``.
        most_seeds: how many are needed if the deviation is at the upper end of its interval; None for the smallest
            difference of a number of seeds, and over ``MOST_SEEDS``.
        comparisons: how many tests share one level; 1: this test alone.
    """

    difference: float
    seeds: int | None
    most_seeds: int | None
    comparisons: int


@dataclass(frozen=True)
class Resolution:
    """What the seeds of two entrants tell. The unit of inference is the training seed.

    Attributes:
        comparisons: how many pairs the rows of the board make; None where the entrants share no board.
        smallest: the smallest difference that the seeds that there are find: alone, then as one of all pairs.
        needed: the seeds that the asked differences need: alone, then as one of all pairs.
        variances: of each side's networks, over their seeds: the test set's part, and the part that lasts; None where
            all accuracies are equal.
    """

    sides: SeedSides
    noise: SeedNoise
    comparisons: int | None
    smallest: tuple[Detectable, ...]
    needed: tuple[Detectable, ...]
    variances: tuple[SeedVariance | None, SeedVariance | None]
    alpha: float = ALPHA
    power: float = POWER


def points_of(text: str | None) -> tuple[float, ...]:
    """The differences that a user names, as in ``0.5,2``; None: ``POINTS``.

    Raises:
        HarnessError: one is no number above 0 and at most 100.
    """
    if text is None:
        return POINTS
    return checked_points([_number(word) for word in text.split(",")], f"--points {text}")


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")


def checked_points(points: object, said: str) -> tuple[float, ...]:
    """The differences, each once, in ascending order.

    Args:
        points: one number, or several.
        said: what the user wrote, for the error.
    Raises:
        HarnessError: there are none, or one is no number above 0 and at most 100.
    """
    several = list(points) if isinstance(points, Sequence) and not isinstance(points, str) else [points]
    numbers = [float(value) for value in several if isinstance(value, int | float) and 0 < value <= 100]
    if not numbers or len(numbers) < len(several):
        raise HarnessError(f"{said} is refused: name differences in points, above 0 and at most 100, such as 0.5,2")
    return tuple(sorted(set(numbers)))


def resolution(
    store: Store, comparison: Comparison, points: Sequence[float] = POINTS, where: Where | None = None
) -> Resolution:
    """What the seeds of two compared entrants can tell, from the spread of their stored figures.

    Args:
        points: the differences to plan for.
        where: which rows of the board compete; None: all.
    Raises:
        HarnessError: there are too few seeds for a deviation, or no deviation.
    """
    sides = comparison.sides
    if sides is None:
        raise HarnessError(
            "--power is refused: a deviation needs two training seeds a side, or more;"
            " `harness run METHOD --train-seeds M` trains them"
        )
    noise = sides.noise
    if not sides.error:
        raise HarnessError(
            "--power is refused: the difference is the same for all training seeds, and no deviation is"
            " known; train more seeds, or leave --power out"
        )
    comparisons = _pairs_on_the_board(store, comparison, where or Where())
    families = (1,) if comparisons in (None, 1) else (1, comparisons or 1)
    smallest = tuple(
        Detectable(smallest_difference(noise, sides.seeds, of_one_of(family)), sides.seeds, None, family)
        for family in families
    )
    needed = tuple(_needed(noise, points, families))
    first, second = _networks(comparison)
    variances = (_variance(store, first, comparison.column), _variance(store, second, comparison.column))
    return Resolution(sides, noise, comparisons, smallest, needed, variances)


def _networks(comparison: Comparison) -> tuple[list[Contestant], list[Contestant]]:
    """The networks of each side that the test over training seeds is about: the pairs, or all that have a figure."""
    if comparison.sides is not None and comparison.sides.paired:
        return [pair.first for pair in comparison.networks], [pair.second for pair in comparison.networks]
    held = comparison.column.evaluations
    first, second = (
        [network for network in side.networks if all(held(network).values())]
        for side in (comparison.first, comparison.second)
    )
    return first, second


def _variance(store: Store, networks: Sequence[Contestant], column: Column) -> SeedVariance | None:
    """The variance between networks, by their verdicts under the attack seeds that all of them have."""
    held = [[e for of_attack in column.evaluations(network).values() for e in of_attack] for network in networks]
    common = set.intersection(*({(e.attack, e.seed) for e in evaluations} for evaluations in held))
    kept = [[e for e in evaluations if (e.attack, e.seed) in common] for evaluations in held]
    if not all({e.attack for e in evaluations} == column.attacks.keys() for evaluations in kept):
        return None
    verdicts = store.verdicts_of({e.id for evaluations in kept for e in evaluations})
    return seed_variance([column.right(evaluations, verdicts) for evaluations in kept])


def _needed(noise: SeedNoise, points: Sequence[float], families: Sequence[int]) -> Iterator[Detectable]:
    worst = SeedNoise(noise.interval.high, noise.freedom, noise.known)
    for difference in points:
        for family in families:
            alpha = of_one_of(family)
            seeds, most = (seeds_needed(one, difference, alpha) for one in (noise, worst))
            yield Detectable(difference, seeds, most, family)


def _pairs_on_the_board(store: Store, comparison: Comparison, where: Where) -> int | None:
    """How many pairs the rows make that have a figure beside these two; None if the two share no board."""
    one, other = (side.networks[0] for side in (comparison.first, comparison.second))
    if one.training_sha256 is None or one.training_sha256 != other.training_sha256:
        return None
    competing = filter(where.takes(where.protocols(store)), contestants(*store.standings()))
    rows = len({network.kin for network in competing if _stands_beside(network, one, comparison.column)})
    return rows * (rows - 1) // 2


def _stands_beside(network: Contestant, one: Contestant, column: Column) -> bool:
    alike = network.dataset.fingerprint == one.dataset.fingerprint
    trained = network.training_sha256 in (None, one.training_sha256)
    return alike and trained and all(column.evaluations(network).values())
