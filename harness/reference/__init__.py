"""Results that publications report, as data; the leaderboard shows them beside measured results."""

from __future__ import annotations

from functools import cache

from harness.reference import fastat, lrat_paper
from harness.reference.figure import NetworksBehind, ReportedFigure, remarks_on

__all__ = ["ABOUT", "BIBTEX", "THREATS", "ReportedFigure", "networks_behind", "remarks_on", "reported_figures"]

ABOUT = {publication.PAPER: publication.ABOUT for publication in (lrat_paper, fastat)}
"""Publication -> where to find it, and the conditions under which its figures were measured."""

THREATS = {publication.PAPER: publication.THREAT for publication in (lrat_paper, fastat)}
"""Publication -> norm and radius of its attacks' ball."""

BIBTEX = {publication.PAPER: publication.BIBTEX for publication in (lrat_paper, fastat)}
"""Publication -> its entry of BibTeX."""


@cache
def reported_figures() -> tuple[ReportedFigure, ...]:
    """Every figure of every publication. Figures of different publications are never ranked together."""
    return (*lrat_paper.figures(), *fastat.figures())


def networks_behind(paper: str, dataset: str, method: str) -> NetworksBehind | None:
    """The accuracies of each network behind a publication's row; None where the publication gives none."""
    return fastat.networks_behind(dataset, method) if paper == fastat.PAPER else None
