"""Statistics over seeds. Standard library alone, so that a stored leaderboard is read fast."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """A mean over networks trained with different seeds, in percent; ``std`` has ddof 1, and None for one network."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True)
class Figure:
    """An accuracy in percent, over attack seeds; with several networks, over their medians too.

    Attributes:
        median: over attack seeds; with several networks, the median of their medians.
        std: over attack seeds, ddof 1; with several networks, the root mean square of theirs; None for one seed.
        n: attack seeds a network; None where a publication does not say.
        train: the spread over training seeds, of the networks' medians; None for one network.
    """

    median: float
    std: float | None
    n: int | None
    train: Spread | None = None


def plus_minus(percent: float, std: float | None) -> str:
    """``78.89 ± 0.12``: a figure in percent and its standard deviation, where it has one."""
    return f"{percent:.2f}" + (f" ± {std:.2f}" if std is not None else "")


def summarise(networks: Sequence[Sequence[float]]) -> Figure | None:
    """Figures of some networks, each attacked with some seeds; the two kinds of seeds are kept apart.

    Args:
        networks: for each network, its accuracies over attack seeds, in percent. Those without any are left out.
    """
    measured = [list(accuracies) for accuracies in networks if accuracies]
    if not measured:
        return None
    medians = [statistics.median(accuracies) for accuracies in measured]
    deviations = [statistics.stdev(accuracies) for accuracies in measured if len(accuracies) > 1]
    std = math.sqrt(statistics.fmean(d * d for d in deviations)) if deviations else None
    train = Spread(statistics.fmean(medians), statistics.stdev(medians), len(medians)) if len(medians) > 1 else None
    return Figure(statistics.median(medians), std, min(len(accuracies) for accuracies in measured), train)
