"""What a number of training seeds can tell: the power of a t-test, the smallest difference, the seeds that one needs.

The unit of inference is the training seed. Attack seeds, and test images, are other sources of chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.statistics.figures import Interval, deviation
from harness.statistics.paired import ALPHA

POWER = 0.8
"""How likely a test is to find a difference that it is planned for."""
MOST_SEEDS = 10_000
"""More seeds than that are not planned: the answer is None."""
_PRECISION = 1e-9  # relative, of a difference that is found by halving
SAME = 1e-9
"""Points: figures closer than this are equal up to rounding."""
_FARTHEST, _POINTS = 8.0, 6_001  # of the sum over errors: in standard errors, and their number


@dataclass(frozen=True)
class SeedNoise:
    """How the difference between two networks, one of each method, varies with the training seed.

    Attributes:
        std: standard deviation of the difference of one network a side, in points.
        freedom: the degrees of freedom of a t-test with n seeds a side are ``freedom * (n - 1)``: 1 where networks are
            paired by seed; from 1, where one method alone varies, to 2, where both vary alike, where they are not.
        known: the degrees of freedom behind ``std``.
    """

    std: float
    freedom: float
    known: float

    @property
    def interval(self) -> Interval:
        """The 95 % interval of ``std``, by the chi-square law of a variance of normal values: few seeds know little."""
        from scipy import special

        tails = [float(special.chdtri(self.known, tail)) for tail in (0.025, 0.975)]  # the upper tail first
        low, high = (self.std * math.sqrt(self.known / tail) for tail in tails)
        return Interval(low, high)


def spread(values: Sequence[float]) -> float:
    """The standard deviation with ddof 1; 0 where the values are equal up to rounding.

    Raises:
        ValueError: fewer than two values.
    """
    found = deviation(values)
    return found if max(values) - min(values) >= SAME else 0.0


def paired_noise(first: Sequence[float], second: Sequence[float]) -> SeedNoise:
    """The noise of differences that are taken seed by seed.

    Args:
        first, second: accuracies in percent, one for each training seed, in the same order of seeds.
    Raises:
        ValueError: the lengths differ, or there are fewer than two seeds.
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(f"{len(first)} and {len(second)} accuracies are no pairs, or too few")
    return SeedNoise(spread([a - b for a, b in zip(first, second, strict=True)]), 1.0, len(first) - 1)


def unpaired_noise(first: Sequence[float], second: Sequence[float]) -> SeedNoise:
    """The noise of differences between networks of seeds that have nothing to do with each other.

    The variances of both sides add up. The degrees of freedom are those of Welch's test.

    Args:
        first, second: accuracies in percent, one for each training seed.
    Raises:
        ValueError: a side has fewer than two seeds.
    Source: Welch, Biometrika 1947; Satterthwaite, Biometrics 1946.
    """
    one, other = spread(first) ** 2, spread(second) ** 2
    total = one + other
    if not total:
        return SeedNoise(0.0, 2.0, len(first) + len(second) - 2)
    known = total**2 / (one**2 / (len(first) - 1) + other**2 / (len(second) - 1))
    return SeedNoise(math.sqrt(total), total**2 / (one**2 + other**2), known)


def power_of_t(noise: SeedNoise, seeds: int, difference: float, alpha: float = ALPHA) -> float:
    """How likely a two-sided t-test with this many seeds a side is to find a true difference.

    Computed as if ``noise.std`` were the true deviation: the law of t is then the noncentral one.

    Args:
        difference: of the methods' mean accuracies, in points.
        alpha: what the p-value must fall below.
    Raises:
        ValueError: fewer than two seeds.
    Source: Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988, chapter 2.
    """
    if seeds < 2:
        raise ValueError(f"{seeds} seeds have no deviation, and no t-test")
    if not noise.std:
        return 1.0 if difference else alpha
    import numpy as np
    from scipy import special

    # A sum over the error of the mean, in standard errors: t passes the bound where the deviation came out small
    # enough. scipy's noncentral t is NaN for many seeds, and for small alpha.
    degrees = noise.freedom * (seeds - 1)
    error = np.linspace(-_FARTHEST, _FARTHEST, _POINTS)
    centre = difference / noise.std * math.sqrt(seeds)
    bound = float(special.stdtrit(degrees, 1 - alpha / 2))
    found = special.gammainc(degrees / 2, degrees / 2 * ((centre + error) / bound) ** 2)  # chi-square of the variance
    density = np.exp(-(error**2) / 2) / math.sqrt(2 * math.pi)
    return min(1.0, float(np.sum(density * found) * (error[1] - error[0])))


def smallest_difference(noise: SeedNoise, seeds: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """The smallest true difference, in points, that a t-test with this many seeds a side finds with this power.

    Raises:
        ValueError: fewer than two seeds.
    """
    if power_of_t(noise, seeds, 0.0, alpha) >= power or not noise.std:
        return 0.0
    low, high = 0.0, noise.std
    while power_of_t(noise, seeds, high, alpha) < power:
        low, high = high, 2 * high
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        low, high = (middle, high) if power_of_t(noise, seeds, middle, alpha) < power else (low, middle)
    return high


def seeds_needed(noise: SeedNoise, difference: float, alpha: float = ALPHA, power: float = POWER) -> int | None:
    """How many seeds a side a t-test needs, to find this true difference with this power; None: over ``MOST_SEEDS``.

    Raises:
        ValueError: the difference is not above 0.
    """
    if not difference > 0:
        raise ValueError(f"no number of seeds finds a difference of {difference:g} points")
    return _first(lambda seeds: power_of_t(noise, seeds, difference, alpha) >= power)


def _first(enough: Callable[[int], bool]) -> int | None:
    """The first number of seeds, from 2, that is enough; more are enough, too."""
    if not enough(MOST_SEEDS):
        return None
    low, high = 1, 2  # 1 is never enough
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def of_one_of(comparisons: int, alpha: float = ALPHA) -> float:
    """What a p-value must fall below where it is the smallest of several, by Holm and by Bonferroni alike.

    Raises:
        ValueError: fewer than one comparison.
    """
    if comparisons < 1:
        raise ValueError(f"a family of {comparisons} comparisons has no test")
    return alpha / comparisons
