"""Reported results as data: what papers print, carried beside what is measured."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class ReportedFigure:
    """One figure of a paper's table, in percent."""

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


PAPER = "Gao et al. 2021"
METRICS = {"natural": "natural", "pgd20": "pgd", "cw": "cw", "autoattack": "autoattack"}


def reported_figures() -> Iterator[ReportedFigure]:
    """Tables 1, 2, 4, and 5 of the LRAT paper (arXiv:2106.15776), cell by cell."""
    text = (resources.files("harness.reference") / "reported.csv").read_text(encoding="utf-8")
    for cell in csv.DictReader(text.splitlines()):
        yield ReportedFigure(
            paper=PAPER,
            paper_table=cell["table"],
            dataset=cell["dataset"],
            network=cell["arch"],
            method=cell["method"],
            checkpoint=cell["checkpoint"],
            metric=METRICS[cell["metric"]],
            median_percent=float(cell["median_percent"]),
            std_percent=float(cell["std_percent"]) if cell["std_percent"] else None,
            note=cell["note"],
        )
