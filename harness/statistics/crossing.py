"""The chance that a t-test over training seeds, looked at again and again, calls equal methods different.

Differences d_1, d_2, ... of paired networks are normal with mean 0. After n of them, U_n = sum(d_i) / sqrt(n
sum(d_i^2)) tells t: t^2 = (n - 1) U_n^2 / (1 - U_n^2). The direction of (d_1, ..., d_n) is independent of its length,
and U_1, ..., U_n are functions of the direction. So d_{n+1} / sqrt(sum(d_i^2)) = tan(theta) is independent of them, and
U_{n+1} = (sqrt(n) U_n cos(theta) + sin(theta)) / sqrt(n + 1). This is a Markov chain with one state, whatever the
deviation is, and the chance is an integral over theta from look to look.

Source: Armitage, McPherson, and Rowe, JRSS A 1969, who integrate in this way where the deviation is known. Jennison and
Turnbull, Group Sequential Methods, 2000, chapter 11, compute the bounds of t-tests approximately; the chain is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Reals = NDArray[np.float64]
    Function = Callable[[Reals], Reals]

FIRST = 3
"""Pairs of networks at the first look. Two give a t with one degree of freedom, which finds little that is real."""
MOST = 100
"""The largest limit: the chance over more looks takes long to compute."""
_NODES, _POINTS = 80, 48  # of the state, in each of two parts; of an integral over theta
_TINY = 1e-300


def share(n: int, limit: int) -> float:
    """What part of the level the look after n pairs has: (n / limit)^2, so that the last look has all of it."""
    return (n / limit) ** 2


def check_looks(limit: int) -> None:
    """Refuse a limit that has no look, or too many.

    Raises:
        ValueError: it is below ``FIRST`` or above ``MOST``.
    """
    if not FIRST <= limit <= MOST:
        raise ValueError(f"a limit of {limit} pairs has no sequential test: it must be {FIRST} to {MOST}")


@lru_cache(maxsize=4096)
def crossing(limit: int, level: float) -> float:
    """How probable it is that a look at equal methods has a p of ``level * share`` or less; 1 from a level of 1 on.

    Backwards over the looks: the chance that a later look passes its bound is an even function of U, and an integral
    over theta takes it from look n + 1 to look n. It is right to two thousandths of itself for levels from 1e-5 on,
    and to a tenth from 1e-11 on. Below, its size alone is right: between the level and the sum of the looks' levels.

    Raises:
        ValueError: the limit is refused.
    """
    check_looks(limit)
    if level >= 1:
        return 1.0
    if level <= 0:
        return 0.0
    import numpy as np
    from scipy import special

    bounds = {n: _bound(n, level * share(n, limit)) for n in range(FIRST, limit + 1)}
    reach = _Reach(1.0, 1.0, 1.0)
    later: Function = np.zeros_like  # after the last look nothing passes a bound
    for n in range(limit - 1, FIRST - 1, -1):
        able = min(bounds[n], _back(n, bounds[n + 1]))
        reach = _Reach(min(able, _back(n, reach.some)), able, bounds[n])
        later = reach.interpolated(_before(n, reach.states(), bounds[n + 1], later))
    z, weights = _legendre()
    total = level * share(FIRST, limit)
    for low, high in ((reach.some, reach.next), (reach.next, reach.bound)):
        u = (low + high) / 2 + (high - low) / 2 * z
        density = 2 * (1 - u**2) ** ((FIRST - 3) / 2) / special.beta(0.5, (FIRST - 1) / 2)
        total += (high - low) / 2 * float(np.sum(weights * density * later(u)))
    # one look has the level, and all have at most the sum: this holds small chances to their size
    most = level * sum(share(n, limit) for n in bounds)
    return min(max(total, level), most, 1.0)


def _bound(n: int, p: float) -> float:
    """The least |U_n| whose two-sided p-value is p or less."""
    from scipy import special

    t = float(special.stdtrit(n - 1, p / 2))
    return math.sqrt(t * t / (n - 1 + t * t)) if math.isfinite(t) else 1.0


@dataclass(frozen=True)
class _Reach:
    """Where the chance that a later look passes its bound is not 0, as a function of U after n pairs.

    Attributes:
        some: the least |U| from which any later look can pass.
        next: the least |U| from which the next look can; the chance has a root there.
        bound: of this look, at which |U| ends.
    """

    some: float
    next: float
    bound: float

    def states(self) -> Reals:
        """Values of |U| from ``some`` on, in two parts, so that the chance is smooth in the number of the value."""
        import numpy as np

        places = np.linspace(0, 1, _NODES + 1)
        first = self.next - (self.next - self.some) * (1 - places) ** 2
        return np.concatenate([first, self.next + (self.bound - self.next) * places[1:] ** 2])

    def interpolated(self, chances: Reals) -> Function:
        """The chance as a function of |U|, from its values at ``states``."""
        import numpy as np
        from scipy.interpolate import PchipInterpolator

        smooth = PchipInterpolator(np.linspace(0, 2, 2 * _NODES + 1), chances)

        def chance(u: Reals) -> Reals:
            first = 1 - np.sqrt(np.maximum(0.0, self.next - u) / max(self.next - self.some, _TINY))
            second = 1 + np.sqrt(np.maximum(0.0, u - self.next) / max(self.bound - self.next, _TINY))
            place = np.where(u < self.next, first, np.minimum(second, 2.0))
            return np.where(place < 0, 0.0, smooth(np.maximum(place, 0.0)))

        return chance


def _back(n: int, u: float) -> float:
    """The least |U| after n pairs from which one more pair can take it to ``u``."""
    return math.sqrt(max(0.0, ((n + 1) * u**2 - 1) / n))


def _before(n: int, u: Reals, bound: float, later: Function) -> Reals:
    """The chance that a look after n pairs or later, but not look n itself, passes its bound.

    U_{n+1} is r sin(psi), with psi = theta + delta and tan(delta) = sqrt(n) u; theta has a density as cos^(n-1).

    Args:
        u: states at look n, 0 or above, shape (m,).
        bound: of look n + 1.
        later: the same of look n + 1, as a function of |U|.
    Returns:
        shape (m,)
    """
    import numpy as np
    from scipy import special

    r, delta = np.sqrt((n * u**2 + 1) / (n + 1)), np.arctan(math.sqrt(n) * u)
    inside = np.arcsin(np.minimum(1.0, bound / r))
    least, most = delta - math.pi / 2, delta + math.pi / 2
    turn, under = np.minimum(math.pi - inside, most), np.maximum(inside - math.pi, least)
    over = _between(n, inside - delta, turn - delta)
    below = _between(n, under - delta, np.maximum(-inside, under) - delta)
    total = over + np.where(least < -inside, below, 0.0)
    z, weights = _legendre()
    for low, high in ((np.maximum(-inside, least), inside), (turn, most)):
        half = (high - low) / 2
        psi = ((high + low) / 2)[:, None] + half[:, None] * z
        density = np.maximum(0.0, np.cos(psi - delta[:, None])) ** (n - 1) / special.beta(n / 2, 0.5)
        chance = later(np.abs(r[:, None] * np.sin(psi)))
        total = total + half * ((density * chance) @ weights)
    return np.asarray(total)


def _between(n: int, low: Reals, high: Reals) -> Reals:
    """The probability of theta between two angles: sqrt(n) tan(theta) has Student's law with n degrees of freedom."""
    import numpy as np
    from scipy import special

    quarter = math.pi / 2 - 1e-12
    ends = [special.stdtr(n, math.sqrt(n) * np.tan(np.clip(angle, -quarter, quarter))) for angle in (low, high)]
    return np.asarray(ends[1] - ends[0])


@lru_cache(maxsize=1)
def _legendre() -> tuple[Reals, Reals]:
    """Places and weights of Gauss and Legendre on [-1, 1]."""
    import numpy as np

    places, weights = np.polynomial.legendre.leggauss(_POINTS)
    return np.asarray(places), np.asarray(weights)
