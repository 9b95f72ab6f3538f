"""Boards of the figures that publications report: one for each data set, publication, and statistic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from harness.leaderboard.board import REPORTED, Board, Row
from harness.leaderboard.failed_seeds import AT_CHANCE, FailedSeed, FailedSeeds, reasons_at_chance
from harness.reference import ReportedFigure, networks_behind, remarks_on


def reported_boards(figures: Iterable[ReportedFigure]) -> Iterator[Board]:
    """The boards, their rows in no order."""
    cells: dict[tuple[str, str, str], dict[tuple[str, str, str], list[ReportedFigure]]] = defaultdict(dict)
    for f in figures:
        cells[f.dataset, f.paper, f.statistic].setdefault((f.method, f.network, f.checkpoint), []).append(f)
    for (dataset, paper, _), groups in cells.items():
        columns = tuple(dict.fromkeys(f.metric for group in groups.values() for f in group))
        rows = tuple(
            Row(
                method=method,
                network=network,
                checkpoint=checkpoint,
                train_seeds=max((f.mean.n for f in group if f.mean), default=None),
                metrics=dict.fromkeys(columns) | {f.metric: f.figure for f in group},
                means={f.metric: f.mean for f in group if f.mean},
                notes=remarks_on(group),
                unseeded=frozenset(f.metric for f in group if f.std_percent is None),
                failed=_failed(paper, dataset, method),
            )
            for (method, network, checkpoint), group in groups.items()
        )
        yield Board(dataset, REPORTED, paper, paper, None, columns, rows)


def _failed(paper: str, dataset: str, method: str) -> FailedSeeds | None:
    """The training seeds that failed, where the publication gives the accuracies of each network."""
    behind = networks_behind(paper, dataset, method)
    if behind is None:
        return None
    seeds = list(behind.seeds)
    rights = {
        metric: {place: percent * behind.images / 100 for place, percent in enumerate(percents)}
        for metric, percents in behind.percents.items()
    }
    reasons = reasons_at_chance(rights, behind.images, behind.classes, seeds)
    failed = tuple(FailedSeed(seeds[place], None, AT_CHANCE, reason) for place, reason in sorted(reasons.items()))
    figures = {metric: dict(zip(seeds, percents, strict=True)) for metric, percents in behind.percents.items()}
    return FailedSeeds(failed, len(seeds), figures if failed else {})
