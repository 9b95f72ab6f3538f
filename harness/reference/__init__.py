"""Reported results as data: what publications print, carried beside what is measured."""

from __future__ import annotations

from collections.abc import Iterator

from harness.reference import fastat, lrat_paper
from harness.reference.figure import ReportedFigure, remarks_on

__all__ = ["ABOUT", "ReportedFigure", "remarks_on", "reported_figures"]

ABOUT = {publication.PAPER: publication.ABOUT for publication in (lrat_paper, fastat)}
"""Publication -> where it is, and under what its figures were measured."""


def reported_figures() -> Iterator[ReportedFigure]:
    """Every figure of every publication; those of two publications are never ranked together."""
    yield from lrat_paper.figures()
    yield from fastat.figures()
