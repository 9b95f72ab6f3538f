"""Whether two attacks, or two networks, find the same images vulnerable (Figures 2 and 4 of Gao et al. 2021).

The vulnerability of an image is V = p_y(x_adv) - max over i != y of p_i(x_adv) (Eq. 9); smaller is more vulnerable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SHARE = 0.2  # the paper's top 20 %


@dataclass(frozen=True)
class Agreement:
    """Two sets of the k most vulnerable of n images: the images' positions, in ascending order."""

    first: tuple[int, ...]
    second: tuple[int, ...]
    examples: int  # n

    @property
    def shared(self) -> int:
        """Images in both sets."""
        return len({*self.first} & {*self.second})

    @property
    def overlap(self) -> float:
        """The share of the k images of one set that are in the other set too: 0 to 1."""
        return self.shared / len(self.first)

    @property
    def expected(self) -> float:
        """The overlap expected of two random sets: k/n."""
        return len(self.first) / self.examples

    @property
    def jaccard(self) -> float:
        """Images in both sets, divided by images in at least one set."""
        return self.shared / len({*self.first} | {*self.second})


def most_vulnerable(vulnerabilities: Sequence[float], share: float = SHARE) -> tuple[int, ...]:
    """The positions of the k = ceil(share * n) images of smallest V, in ascending order.

    An image whose V is NaN (the network answered NaN) counts as the most vulnerable of all. Where images with equal V
    compete for the last places, those that come first in the data set win. Both sets follow this rule, so ties raise
    the overlap instead of making it random.

    Raises:
        ValueError: no images, or a share outside (0, 1].
    """
    if not (vulnerabilities and 0 < share <= 1):
        raise ValueError(f"there is no share {share:g} of {len(vulnerabilities)} images")
    count = math.ceil(round(share * len(vulnerabilities), 9))  # rounded: 0.07 * 100 is 7.000000000000001
    known = [-math.inf if math.isnan(v) else v for v in vulnerabilities]
    order = sorted(range(len(known)), key=known.__getitem__)  # stable: the first of equals first
    return tuple(sorted(order[:count]))


def agreement(first: Sequence[float], second: Sequence[float], share: float = SHARE) -> Agreement:
    """Compare the most vulnerable images of two evaluations of the same images.

    Raises:
        ValueError: they are not on the same number of images.
    """
    if len(first) != len(second):
        raise ValueError(f"vulnerabilities of {len(first)} and of {len(second)} images cannot be paired")
    return Agreement(most_vulnerable(first, share), most_vulnerable(second, share), len(first))
