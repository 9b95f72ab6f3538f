"""How often seeds that are added by looking call equal methods different, and what they save: by simulation.

``python -m scripts.looks_study`` prints what ``docs/statistics.md`` states of ``harness run --until-separated``. A
sweep is one pair of methods whose seeds are looked at one by one until the two are separated or the limit is reached.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from harness.leaderboard.board import Selection
from harness.leaderboard.ranking import boards
from harness.reference.fastat import figures, networks_behind
from harness.statistics.crossing import FIRST, share
from harness.statistics.paired import ALPHA
from harness.statistics.power import SAME, SeedNoise, power_of_t
from harness.statistics.sequential import critical_level
from harness.store.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Reals = NDArray[np.float64]
    Draw = Callable[[np.random.Generator, tuple[int, int]], Reals]

SEED, SWEEPS, LIMITS, POWERS = 44, 20_000, (6, 12, 30), (0.5, 0.8, 0.95)
DATABASE = Path(__file__).parents[1] / "leaderboard.db"
STUDIED = ("standard", "sat", "gairat", "lrat", "trades", "gair-trades", "lrat-trades")
"""The methods that were on the board of the digits when the study was made."""
DIGITS_STEP = 100 / 360
"""Points: the least difference of two accuracies on the digits' 360 test images."""


@dataclass(frozen=True)
class Swept:
    """What some sweeps came to.

    Attributes:
        separated: share of the sweeps that ended before or at the limit with the methods separated.
        seeds: mean number of seeds at the end.
        naive: share in which a t-test at 5 % after every seed finds a difference at least once.
        fixed: share in which a t-test at 5 %, of the seeds that there are at the end, finds a difference.
        at_limit: share in which a t-test at 5 % of as many seeds as the limit finds one.
    """

    separated: float
    seeds: float
    naive: float
    fixed: float
    at_limit: float


def p_of_looks(differences: Reals) -> Reals:
    """The paired t-test's p after each look, shape (sweeps, looks); 1 where there is no spread.

    Args:
        differences: shape (sweeps, limit).
    """
    columns = []
    for n in range(FIRST, differences.shape[1] + 1):
        part = differences[:, :n]
        mean, std = part.mean(1), part.std(1, ddof=1)
        spread = np.ptp(part, axis=1) >= SAME
        t = np.abs(mean) * np.sqrt(n) / np.where(spread, std, 1.0)
        columns.append(np.where(spread, 2 * special.stdtr(n - 1, -t), 1.0))
    return np.stack(columns, axis=1)


def sweep(differences: Reals, pairs: int = 1) -> Swept:
    """Sweeps over some differences of paired networks, one a row.

    Args:
        pairs: how many pairs of methods share the 5 %; the first that is separated needs that much.
    """
    limit = differences.shape[1]
    p, level = p_of_looks(differences), critical_level(limit, ALPHA / pairs)
    bounds = np.array([level * share(n, limit) for n in range(FIRST, limit + 1)])
    passed = p <= bounds
    separated = passed.any(1)
    ends = np.where(separated, passed.argmax(1), limit - FIRST)
    at_end = p[np.arange(len(p)), ends]
    return Swept(
        separated=float(separated.mean()),
        seeds=float((ends + FIRST).mean()),
        naive=float((p < ALPHA).any(1).mean()),
        fixed=float((at_end < ALPHA).mean()),
        at_limit=float((p[:, -1] < ALPHA).mean()),
    )


def any_of(methods: int, limit: int, generator: np.random.Generator, sweeps: int) -> float:
    """Share of sweeps in which any two of several equal methods are separated; their pairs share methods."""
    accuracies = generator.normal(size=(methods, sweeps, limit))
    pairs = list(combinations(range(methods), 2))
    level = critical_level(limit, ALPHA / len(pairs))
    bounds = np.array([level * share(n, limit) for n in range(FIRST, limit + 1)])
    found = [(p_of_looks(accuracies[one] - accuracies[other]) <= bounds).any(1) for one, other in pairs]
    return float(np.any(found, axis=0).mean())


def difference_for(power: float, limit: int) -> float:
    """The true difference, in deviations of one difference, that a t-test of as many seeds as the limit finds."""
    low, high, noise = 0.0, 20.0, SeedNoise(1.0, 1.0, limit - 1)
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if power_of_t(noise, limit, middle) < power else (low, middle)
    return high


def digits_residuals() -> Reals:
    """How the accuracies of the STUDIED methods' networks under AutoAttack lie about their method's mean, in points."""
    store, rows = Store.read(str(DATABASE)), []
    for board in boards(store, Selection(dataset="digits", protocol="digits", source="measured")):
        if "autoattack" in board.attacks:
            column = board.column("autoattack")
            of_rows = [
                [column.evaluations(network)["autoattack"] for network in row.networks]
                for row in board.rows
                if row.method in STUDIED
            ]
            rows += [[statistics.median(e.percent for e in held) for held in row if held] for row in of_rows]
    store.close()
    return residuals(rows)


def fastat_residuals() -> Reals:
    """The same of FastAT Benchmark's methods on CIFAR-10, three seeds each, whose deviation is below 0.7 points."""
    methods = dict.fromkeys(figure.method for figure in figures() if figure.dataset == "cifar10")
    rows = [behind.percents["autoattack"] for name in methods if (behind := networks_behind("cifar10", name))]
    return residuals([row for row in rows if statistics.stdev(row) < 0.7])


def residuals(rows: Sequence[Sequence[float]]) -> Reals:
    """The figures of some methods without each method's mean, which makes them smaller by sqrt((n - 1) / n)."""
    several = [np.array(row) for row in rows if len(row) > 2]
    return np.concatenate([(row - row.mean()) * np.sqrt(len(row) / (len(row) - 1)) for row in several])


def laws() -> dict[str, Draw]:
    """Differences of equal methods, by what they are like; each has mean 0."""

    def of_two(pool: Reals, step: float = 0.0) -> Draw:
        """Both methods' accuracies are drawn from one pool, in whole steps."""
        whole = np.round(pool / step) * step if step else pool
        return lambda generator, shape: generator.choice(whole, shape) - generator.choice(whole, shape)

    def one_fails_in_ten(generator: np.random.Generator, shape: tuple[int, int]) -> Reals:
        failed = (generator.random((2, *shape)) < 0.1) * 10.0
        return np.asarray(generator.normal(size=shape) + failed[0] - failed[1])

    return {
        "normal": lambda generator, shape: generator.normal(size=shape),
        "digits": of_two(digits_residuals(), DIGITS_STEP),
        "FastAT": of_two(fastat_residuals()),
        "one training in ten fails": one_fails_in_ten,
        "skewed": lambda generator, shape: generator.exponential(size=shape) - 1.0,
    }


def lines(sweeps: int = SWEEPS) -> Iterator[str]:
    """What the study says, a line at a time."""
    yield f"levels: {', '.join(f'{limit} seeds {critical_level(limit):.4f}' for limit in LIMITS)}"
    yield "equal methods: limit | law | sequential | naive | fixed test at the end | fixed test at the limit"
    for limit in LIMITS:
        for name, draw in laws().items():
            found = sweep(draw(np.random.default_rng([SEED, limit]), (sweeps, limit)))
            parts = [found.separated, found.naive, found.fixed, found.at_limit]
            yield f"  {limit} | {name} | " + " | ".join(f"{100 * part:.1f} %" for part in parts)
    yield "any pair of equal methods: limit | methods | separated"
    for limit in LIMITS:
        for methods in (2, 4):
            share_of = any_of(methods, limit, np.random.default_rng([SEED, limit, methods]), sweeps)
            yield f"  {limit} | {methods} | {100 * share_of:.1f} %"
    yield "different methods: limit | difference in deviations | fixed test at the limit | sequential | mean seeds"
    for limit in LIMITS:
        for power in (*POWERS, None):
            difference = difference_for(power, limit) if power is not None else 2 * difference_for(POWERS[-1], limit)
            noise = np.random.default_rng([SEED, limit, 1]).normal(size=(sweeps, limit))
            found = sweep(noise + difference)
            yield (
                f"  {limit} | {difference:.2f} | {100 * found.at_limit:.1f} % | {100 * found.separated:.1f} %"
                f" | {found.seeds:.1f}"
            )


if __name__ == "__main__":
    print("\n".join(lines()))
