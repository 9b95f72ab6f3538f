"""Whether an accuracy is that of a network that ignores the image: *at chance*, *clear of chance*, or neither.

A network that gives one answer for every image is right on that class alone, and no attack can change it. On a balanced
test set this is 1 of the number of classes, the level of chance. Of an accuracy that is neither at chance nor clear of
it, too few images say too little, or the network is weak but has learned something.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.statistics.exact_bounds import CONFIDENCE, at_least, at_most

ALPHA = 1 - CONFIDENCE
TIMES = 2.0  # an accuracy of this many times chance is clear of it; of few classes, half of the way from chance to all


def chance(classes: int) -> float:
    """The share of images that one answer for all is right on, if the classes have equally many; from 0 to 1.

    Where they do not, this is the least that the largest class can have. So a network that answers with the largest
    class may lie above it, and is then not found: the check ``class-left-behind`` finds it.
    """
    return 1 / classes


def clear(classes: int) -> float:
    """Where an accuracy is clear of chance, from 0 to 1: twice chance, at most half of the way from chance to 1."""
    level = chance(classes)
    return min(TIMES * level, (1 + level) / 2)


def at_chance(right: float, images: int, classes: int) -> bool:
    """Whether the images do not show an accuracy above chance, and do show one below twice chance.

    Each is an exact one-sided binomial test at 5 %. The first alone would find good networks on ten images, where
    nothing can be shown. A network of twice chance or more is found with 5 % at most, whatever the number of images.

    Args:
        right: how many images are right; a median over attack seeds may lie between two counts, and is rounded up.
        images: how many were attacked, 1 or more.
        classes: how many there are; with one no network is at chance, since one answer is all that there is.
    Source: this project's. The tests are those of Clopper and Pearson's one-sided bounds: the lower bound lies at
        chance or below, the upper bound below twice chance.
    """
    count = math.ceil(right)
    if classes < 2 or count / images >= clear(classes):  # nearly every network ends here
        return False
    above = at_least(count, images, chance(classes)) < ALPHA
    return not above and at_most(count, images, clear(classes)) < ALPHA


def clear_of_chance(right: float, images: int, classes: int) -> bool:
    """Whether the images show an accuracy above twice chance, by the same test; ``right`` is rounded down."""
    count = math.floor(right)
    return count / images > clear(classes) and at_least(count, images, clear(classes)) < ALPHA


def collapsed_under(rights: Sequence[float], images: int, classes: int) -> list[bool]:
    """Which networks of one row collapsed under an attack: at chance, while another one is clear of chance.

    The others are the yardstick. A method without any robustness has 0 % with every seed: no seed of it collapsed, and
    its figure says what it is. The two levels lie apart, so that networks of a weak method, all near twice chance, are
    not told apart by a few images.

    Args:
        rights: for each network the images that are right; the other arguments as for ``at_chance``.
    """
    near = [right / images < clear(classes) for right in rights]
    if all(near) or not any(near):
        return [False] * len(rights)
    if not any(clear_of_chance(right, images, classes) for right in rights):
        return [False] * len(rights)
    return [at_chance(right, images, classes) for right in rights]
