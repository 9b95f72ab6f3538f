"""A reported figure: what it is of, and what kind of number it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.statistics.figures import Figure, Spread


@dataclass(frozen=True)
class ReportedFigure:
    """One figure of a publication, in percent.

    Attributes:
        paper_table: where in the publication it stands.
        median_percent: the figure; where ``statistic`` is "mean" it is the mean.
        std_percent: over the same seeds; None where none is reported.
        statistic: "median" over attack seeds on one network, or "mean" over networks trained from different seeds.
        n: how many such seeds; None where the publication does not say.
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
        """The median over attack seeds; None where it is another number."""
        return Figure(self.median_percent, self.std_percent, self.n) if self.statistic == "median" else None

    @property
    def mean(self) -> Spread | None:
        """The mean over training seeds; None where it is another number, or it is not known over how many."""
        if self.statistic != "mean" or self.n is None:
            return None
        return Spread(self.median_percent, self.std_percent, self.n)


def remarks_on(row: Sequence[ReportedFigure]) -> tuple[str, ...]:
    """The remarks on a row: each with its metric, unless it is on every figure of the row."""
    remarks = {figure.note for figure in row}
    if len(remarks) == 1:
        return tuple(remarks - {""})
    return tuple(f"{figure.metric}: {figure.note}" for figure in row if figure.note)
