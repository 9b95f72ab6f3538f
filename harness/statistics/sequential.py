"""A t-test over training seeds that is looked at after every seed, with one error over all looks.

The seeds of two methods are paired, and the looks are after ``FIRST``, ``FIRST`` + 1, ..., ``limit`` pairs; the limit
is named in advance. Each look has the p-value of Student's paired t-test. The look after n pairs finds a difference
where its p is at most ``level * share(n, limit)``. The level is the one with which equal methods are called different,
at any look, with probability alpha; ``crossing`` computes that probability.

Source: Jennison and Turnbull, Group Sequential Methods, 2000 (tests at several looks; chapter 9, repeated intervals).
Departs: the bounds have the fixed form ``share`` in the scale of p, and not that of a spending function. So the looks
of a smaller alpha find a part of what those of a larger one find, and there is one p-value over all looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from harness.statistics.crossing import FIRST, check_looks, crossing, share
from harness.statistics.figures import Interval
from harness.statistics.paired import ALPHA, PairedT, paired_t

_PRECISION = 1e-6  # relative, of a level that is found by halving


@dataclass(frozen=True)
class SeedLook:
    """A paired t-test after some pairs of networks.

    Attributes:
        found: the test of these pairs alone; its p and its interval count as if they were looked at once.
        p: the p-value of all looks until this one; see ``sequential_p``. It never rises from look to look.
        interval: 95 %, of the difference, in points. The intervals of all looks together hold the true difference with
            95 %, so that this one may be read at any look. None where all pairs have the same difference.
    """

    found: PairedT
    p: float
    interval: Interval | None


def looks(first: Sequence[float], second: Sequence[float], limit: int) -> list[SeedLook]:
    """Every look at some pairs of networks, in the order of the pairs; none for fewer than ``FIRST`` pairs.

    Args:
        first, second: accuracies in percent, one for each training seed, in the same order of seeds.
        limit: the most pairs that would have been looked at.
    Raises:
        ValueError: the lengths differ, there are more pairs than the limit, or the limit is refused.
    """
    check_looks(limit)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} accuracies are no pairs")
    found: list[SeedLook] = []
    for n in range(FIRST, len(first) + 1):
        found.append(next_look(first[:n], second[:n], found, limit))
    return found


def next_look(first: Sequence[float], second: Sequence[float], before: Sequence[SeedLook], limit: int) -> SeedLook:
    """The look at all of these pairs, after the looks at all but the last, all but the last two, and so on."""
    test = paired_t(first, second)
    p = sequential_p([*(look.found.p for look in before), test.p], limit)
    return SeedLook(test, p, _interval(test, limit))


def sequential_p(p_values: Sequence[float | None], limit: int) -> float:
    """The p-value of several looks: how probable it is that equal methods ever look so different until the limit.

    It is at most alpha if and only if a look passed its bound at alpha. So it may be read at any look, and the
    seeds may end there: for equal methods it is at most alpha with probability alpha.

    Args:
        p_values: of the t-tests after ``FIRST``, ``FIRST`` + 1, ... pairs; None where all pairs have the same
            difference: without a spread there is no t, and this look finds nothing.
        limit: the most pairs that would have been looked at.
    Raises:
        ValueError: there are more looks than the limit has, or the limit is refused.
    """
    check_looks(limit)
    if len(p_values) > limit - FIRST + 1:
        raise ValueError(f"{len(p_values)} looks are more than a limit of {limit} pairs has")
    levels = [p / share(n, limit) for n, p in enumerate(p_values, FIRST) if p is not None]
    return crossing(limit, min(levels)) if levels else 1.0


@lru_cache(maxsize=4096)
def critical_level(limit: int, alpha: float = ALPHA) -> float:
    """The level whose looks, all together, call equal methods different with probability alpha.

    Raises:
        ValueError: the limit is refused, or alpha is no probability between 0 and 1.
    """
    check_looks(limit)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} is refused: it must be between 0 and 1")
    low, high = 0.0, alpha  # the last look alone has the level itself
    if crossing(limit, high) <= alpha:
        return high
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        low, high = (middle, high) if crossing(limit, middle) < alpha else (low, middle)
    return low


def _interval(test: PairedT, limit: int) -> Interval | None:
    """The repeated interval: the differences that this look alone would not find at the level of all looks."""
    if test.p is None or test.interval.low == test.interval.high:
        return None
    from scipy import special

    alone = float(special.stdtrit(test.n - 1, 1 - ALPHA / 2))
    among = float(special.stdtrit(test.n - 1, 1 - critical_level(limit) * share(test.n, limit) / 2))
    half = (test.interval.high - test.interval.low) / 2 * among / alone
    return Interval(test.difference - half, test.difference + half)
