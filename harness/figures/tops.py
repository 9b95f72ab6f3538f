"""The most vulnerable images where many have equal values: ties are never broken."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from harness.statistics.agreement import SHARE


def lowest_groups(values: Sequence[float], share: float = SHARE) -> list[bool]:
    """Which values are among the smallest, where equal values are all in or all out.

    A geometric distance has K + 1 values, so that no set may have the share exactly. Of k = ceil(share * n) images that
    are asked for, the set is the one whose size is nearest to k; of two equally near the smaller. It is empty only
    where all values are equal: then no image is more vulnerable than another. Where all values differ it has k images,
    and is the set of ``harness.statistics.agreement``.
    """
    counts = sorted(Counter(values).items())
    if len(counts) < 2:
        return [False] * len(values)
    asked = asked_of(len(values), share)
    taken, border, best = 0, counts[0][0], len(values)
    for value, count in counts:
        taken += count
        away = abs(taken - asked)
        if away < best:
            border, best = value, away
    return [value <= border for value in values]


def asked_of(images: int, share: float = SHARE) -> int:
    """How many of so many images are asked for, which is the set's size where all values differ."""
    return math.ceil(round(share * images, 9))  # rounded: 0.07 * 100 is 7.000000000000001
