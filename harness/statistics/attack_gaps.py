"""What a stronger attack breaks of the images that a weaker one leaves: on one network, and beside a baseline.

A share by itself says little. Plain adversarial training loses 7 % of these images on CIFAR-10 and 16 % on CIFAR-100.
So a network's share is compared with that of plain adversarial training on the same board.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.statistics.exact_bounds import lower_bound, upper_bound

CHECK, MARK = "autoattack-gap", "A"
TIMES = 2.0  # the network's share may be this often the baseline's
LEAST = 2.0  # points of accuracy that the stronger attack must cost
FEWEST = 20  # images that an attack must leave of a baseline
_KEPT = ("share", "points", "broken", "left")  # of a gap, in the details of a finding
BESIDE = "by itself it is not judged: a leaderboard compares it with sat"


@dataclass(frozen=True)
class BrokenShare:
    """What the strongest attack breaks of the images that one attack leaves.

    Attributes:
        attack: the one that leaves them.
        share: broken of left, from 0 to 1; a mean over all pairs of attack seeds.
        points: by how much the accuracy falls, in points.
        broken, left: means over the same pairs, rounded to whole images.
    """

    attack: str
    share: float
    points: float
    broken: int
    left: int

    @property
    def text(self) -> str:
        """``20.0 % of the 500 images that pgd leaves (10.0 points)``."""
        share = f"{100 * self.share:.1f} % of the {self.left} images that {self.attack} leaves"
        return f"{share} ({self.points:.1f} points)"


@dataclass(frozen=True)
class NetworkGaps:
    """The gaps of one network, one for each weaker attack; at least one attack leaves an image.

    Attributes:
        title: the strongest attack's, as a sentence names it.
    """

    title: str
    gaps: tuple[BrokenShare, ...]

    @classmethod
    def of_finding(cls, reason: str, details: Mapping[str, Any]) -> NetworkGaps | None:
        """The gaps that a finding of the check ``autoattack-gap`` keeps, of this or an older version; None without any.

        Args:
            reason: ``AutoAttack breaks …``.
            details: attack -> share, points, broken, left.
        Raises:
            ValueError: the details are not of that form.
        """
        try:
            gaps = [BrokenShare(name, *(gap[key] for key in _KEPT)) for name, gap in details.items()]
        except (KeyError, TypeError, AttributeError):
            raise ValueError(f"the details of {CHECK} lack a share or a count") from None
        if any(type(getattr(gap, key)) not in (int, float) for gap in gaps for key in _KEPT):
            raise ValueError(f"the details of {CHECK} have a value that is no number")
        return cls(reason.partition(" breaks")[0], tuple(gaps)) if gaps else None

    @property
    def widest(self) -> BrokenShare:
        """The gap of the largest share; the first of equal ones."""
        return max(self.gaps, key=lambda gap: gap.share)

    def breaks(self, gap: BrokenShare) -> str:
        """``AutoAttack breaks 20.0 % of …``."""
        return f"{self.title} breaks {gap.text}"

    @property
    def reason(self) -> str:
        """What is seen of the network alone, in a line."""
        return f"{self.breaks(self.widest)}; {BESIDE}"


@dataclass(frozen=True)
class BaselineGap:
    """The gap of plain adversarial training, of one attack: the widest.

    Attributes:
        share: of the mean counts over networks.
        broken, left: means over networks, rounded to whole images.
        shares: of each network.
    """

    attack: str
    share: float
    broken: int
    left: int
    shares: tuple[float, ...]

    @property
    def text(self) -> str:
        """The share with its interval and n, and what it varies between."""
        low, high = lower_bound(self.broken, self.left), upper_bound(self.broken, self.left)
        of = f"of the {self.left} that {self.attack} leaves"
        spread = f"{len(self.shares)} networks, {100 * min(self.shares):.1f} to {100 * max(self.shares):.1f} %"
        ends = f"[{100 * low:.1f}, {100 * high:.1f}]"
        return f"{100 * self.share:.1f} % {ends} {of} ({spread if len(self.shares) > 1 else '1 network'})"


def baseline_gap(networks: Sequence[NetworkGaps]) -> BaselineGap | None:
    """The widest gap of some networks together, over attacks that leave enough images; None where none does.

    The images of different networks are the same ones. So counts are means over networks and not sums, and a bound of
    them is that of one network: it is too wide rather than too narrow.
    """
    found = []
    for attack in {gap.attack: None for network in networks for gap in network.gaps}:
        gaps = [gap for network in networks for gap in network.gaps if gap.attack == attack]
        left = sum(gap.left for gap in gaps) / len(gaps)
        if len(gaps) == len(networks) and left >= FEWEST:
            share = sum(gap.share * gap.left for gap in gaps) / len(gaps) / left
            shares = tuple(gap.share for gap in gaps)
            found.append(BaselineGap(attack, share, round(share * left), round(left), shares))
    return max(found, key=lambda gap: gap.share, default=None)


def exceeds(gap: BrokenShare, baseline: BaselineGap) -> bool:
    """Whether a network loses more than twice the baseline's share, beyond chance, and 2 points or more.

    Chance is rejected where the network's lower bound lies above the baseline's upper bound. Each is exact, one-sided,
    95 %; both together err in at most 1 % of the pairs of equal shares (measured: ``docs/rigour.md``).
    """
    if gap.points < LEAST or gap.share <= TIMES * baseline.share:
        return False
    return lower_bound(min(gap.broken, gap.left), gap.left) > upper_bound(baseline.broken, baseline.left)


def worst_gap(network: NetworkGaps, baseline: BaselineGap) -> BrokenShare | None:
    """The widest of the gaps that exceed the baseline; None where none does."""
    return max((gap for gap in network.gaps if exceeds(gap, baseline)), key=lambda gap: gap.share, default=None)


def flag_reason(network: NetworkGaps, gap: BrokenShare, baseline: BaselineGap, name: str) -> str:
    """What was compared with what, and what it suggests.

    Args:
        name: of the baseline's row, such as ``sat``.
    """
    low, high = lower_bound(gap.broken, gap.left), upper_bound(gap.broken, gap.left)
    times = f"{gap.share / baseline.share:.1f} times that" if baseline.share else "none there"
    return (
        f"{network.breaks(gap)}, [{100 * low:.1f}, {100 * high:.1f}]; of {name} {baseline.text}: {times}; the figure"
        f" under {gap.attack} flatters this network (as GAIRAT's does)"
    )
