"""How much of the variance between training seeds is the test set's: the networks of other seeds may be equally good.

Verdicts have one byte an image: 1 is right, 0 wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.statistics.figures import Interval
from harness.statistics.resampled import OfNetwork


@dataclass(frozen=True)
class SeedVariance:
    """The variance of a method's accuracy over training seeds, on one test set, in two parts.

    Attributes:
        share: the test set's, of 1. By chance the estimate may pass 1: the seeds then vary less than independent
            verdicts would.
        interval: its 95 % interval, of 1.
        std: deviation over training seeds on these images, in points.
        networks, examples: how many networks, and how many test images.
    """

    share: float
    interval: Interval
    std: float
    networks: int
    examples: int

    @property
    def lasting(self) -> float:
        """The deviation over training seeds that ever more test images would leave, in points; at least 0."""
        return self.std * math.sqrt(max(0.0, 1 - self.share))


def seed_variance(networks: Sequence[OfNetwork]) -> SeedVariance | None:
    """Split the variance between networks of one method into the test set's part and the part that lasts.

    A network's verdict on one image varies with the seed. If verdicts on different images varied independently, the
    accuracy on n images would have the mean of these variances, divided by n: that part is the test set's, and falls
    as images are added. What the accuracies vary beyond it is the mean covariance of two images: that part lasts, since
    the networks then differ in accuracy on all images of this kind.

    Args:
        networks: for each network, its verdicts under each attack seed, the same attack seeds for all. Variances are
            averaged over attack seeds.
    Returns:
        None for fewer than two networks or two images, or where all accuracies are equal.
    Raises:
        ValueError: the networks differ in their attack seeds or images.
    Source: the two parts: Jordan, arXiv:2304.01910, section 4. The share is 1 minus the reliability that psychometrics
        calls alpha, or formula 20 (Kuder and Richardson, Psychometrika 1937), with networks as persons and images as
        items; its interval is by F (Feldt, Psychometrika 1965).
    """
    if len({(len(network), *map(len, network)) for network in networks}) > 1:
        raise ValueError("verdicts of other attack seeds, or on other images, cannot be put together")
    count, examples = len(networks), len(networks[0][0]) if networks else 0
    if count < 2 or examples < 2:
        return None
    import numpy as np
    from scipy import special

    held = np.array([[np.frombuffer(of_seed, np.uint8) for of_seed in network] for network in networks], np.float64)
    accuracies = held.mean(axis=2)  # networks by attack seeds
    whole = float(accuracies.var(axis=0, ddof=1).mean())
    if whole < 1e-18:  # equal up to rounding
        return None
    alone = float(held.var(axis=0, ddof=1).mean()) / examples
    share = (examples * alone / whole - 1) / (examples - 1)
    degrees = (count - 1, (count - 1) * (examples - 1))
    low, high = (min(1.0, share * float(special.fdtri(*degrees, tail))) for tail in (0.025, 0.975))
    return SeedVariance(share, Interval(low, high), 100 * math.sqrt(whole), count, examples)
