"""Statistics over seeds. Imports the standard library alone, so that a stored leaderboard is shown fast."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over n training seeds, in percent; ``std`` has ddof 1 and is None for one network."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True)
class Figure:
    """An accuracy in percent, over attack seeds and, with several networks, over training seeds.

    Attributes:
        median: over attack seeds; with several networks, the median of the networks' medians.
        std: over attack seeds, ddof 1; with several networks, the root mean square of the networks' deviations. None
            where every network has one attack seed.
        n: attack seeds of each network, the fewest where they differ; None where a publication does not say.
        train: spread of the networks' medians over training seeds; None for one network.
    """

    median: float
    std: float | None
    n: int | None
    train: Spread | None = None


def plus_minus(percent: float, std: float | None) -> str:
    """``78.89 ± 0.12``: a figure in percent and its standard deviation, where it has one."""
    return f"{percent:.2f}" + (f" ± {std:.2f}" if std is not None else "")


def summarise(networks: Sequence[Sequence[float]]) -> Figure | None:
    """Summarise accuracies, keeping the spread over attack seeds and the spread over training seeds apart.

    Args:
        networks: for each network (one training seed), its accuracies over attack seeds, in percent. A network without
            accuracies is left out.
    """
    measured = [list(accuracies) for accuracies in networks if accuracies]
    if not measured:
        return None
    medians = [statistics.median(accuracies) for accuracies in measured]
    deviations = [statistics.stdev(accuracies) for accuracies in measured if len(accuracies) > 1]
    std = math.sqrt(statistics.fmean(d * d for d in deviations)) if deviations else None
    train = Spread(statistics.fmean(medians), statistics.stdev(medians), len(medians)) if len(medians) > 1 else None
    return Figure(statistics.median(medians), std, min(len(accuracies) for accuracies in measured), train)
