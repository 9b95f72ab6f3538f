"""A figure that a publication reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.statistics.figures import Figure, Spread


@dataclass(frozen=True)
class ReportedFigure:
    """One figure of a publication, in percent.

    Attributes:
        paper_table: the table of the publication that prints it.
        median_percent: the figure: the median, or the mean where ``statistic`` is "mean".
        std_percent: standard deviation over the same seeds; None where none is reported.
        statistic: "median" (over attack seeds, on one network) or "mean" (over training seeds).
        n: number of these seeds; None where the publication does not say.
    """

    paper: str
    paper_table: str
    dataset: str
    network: str
    method: str
    checkpoint: str
    metric: str
    median_percent: float
    std_percent: float | None
    note: str
    statistic: str = "median"
    n: int | None = None

    @property
    def figure(self) -> Figure | None:
        """The figure as a median over attack seeds; None for a mean."""
        return Figure(self.median_percent, self.std_percent, self.n) if self.statistic == "median" else None

    @property
    def mean(self) -> Spread | None:
        """The figure as a mean over training seeds; None for a median, and where the number of seeds is unknown."""
        if self.statistic != "mean" or self.n is None:
            return None
        return Spread(self.median_percent, self.std_percent, self.n)


@dataclass(frozen=True)
class NetworksBehind:
    """The networks that a publication's row summarises, where it gives the accuracies of each.

    Attributes:
        seeds: the training seed of each.
        percents: metric -> the accuracy of each, in the order of the seeds.
        images: how many test images were attacked.
        classes: of the data set.
    """

    seeds: tuple[int, ...]
    percents: Mapping[str, tuple[float, ...]]
    images: int
    classes: int


def remarks_on(row: Sequence[ReportedFigure]) -> tuple[str, ...]:
    """The remarks on the figures of a row, each with its metric; a remark on all of them stands without a metric."""
    remarks = {figure.note for figure in row}
    if len(remarks) == 1:
        return tuple(remarks - {""})
    return tuple(f"{figure.metric}: {figure.note}" for figure in row if figure.note)
