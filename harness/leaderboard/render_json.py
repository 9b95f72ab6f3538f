"""The leaderboard as JSON that other programs may rely on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from harness.leaderboard.board import Board, Row
from harness.leaderboard.columns import WORST_CASE
from harness.leaderboard.failed_seeds import RowlessMethod
from harness.leaderboard.failed_text import failed_document
from harness.leaderboard.pairs import Decision
from harness.leaderboard.varied import values_of
from harness.statistics.figures import LEVEL, Figure, Interval, Spread, t_interval, wilson
from harness.statistics.seed_sides import SeedTest


def row_document(board: Board, row: Row) -> dict[str, Any]:
    """One row: percentages, null where there is no figure."""
    metrics = {name: _figure(figure, board.examples) for name, figure in row.metrics.items()}
    if row.failed is not None and row.failed.spoils_means:
        for figure in filter(None, metrics.values()):
            figure.pop("train", None)  # no mean describes these networks; ``failed_seeds`` has the figure of each
    metrics |= {name: _reported_mean(mean) for name, mean in row.means.items()}
    worst_case = metrics.get(WORST_CASE)
    if worst_case is not None:
        worst_case["seeds"] = row.worst_case_seeds
    return {
        "dataset": board.dataset,
        "arch": row.network,
        "arch_settings": row.network_settings,
        "method": row.method,
        "settings": row.settings,
        "varied": values_of(row, board.varied),
        "wrappers": list(row.wrappers),
        "code": row.code,
        "checkpoint": row.checkpoint,
        "protocol": board.protocol,
        "protocol_fingerprint": board.fingerprint,
        "examples": board.examples,
        "sample": None if board.images is None else board.images.sample,
        "source": board.source,
        "train_seeds": row.train_seeds,
        "train_seed": row.train_seed,
        "trained_under_protocol": row.trained_here,
        "epsilon": None if board.scope is None else board.scope.epsilon,
        "norm": None if board.scope is None else board.scope.norm,
        "rank": row.rank,
        "ranked_by": board.ranked_by,
        "ranked_among": {"rows": board.ranked_rows, **dict.fromkeys(("network", "checkpoint")), **dict(board.within)},
        "tied": board.tied(row),
        "versus_best": decision_document(row.versus_best),
        "metrics": metrics,
        "flags": None if row.flags is None else [asdict(flag) for flag in row.flags],
        "not_judged": [asdict(flag) for flag in row.not_judged],
        "unchecked": list(row.unchecked),
        "failed_seeds": failed_document(row.failed),
        "notes": list(row.notes),
        **({"chosen": asdict(row.chosen)} if row.chosen is not None else {}),
        "runs": list(row.runs),
        "dataset_fingerprint": board.dataset_fingerprint,
    }


def _figure(figure: Figure | None, examples: int | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    document: dict[str, Any] = {"median": figure.median, "std": figure.std, "n": figure.n}
    if examples:
        document["interval"] = interval_document(wilson(figure.median, examples), "wilson", "test images", examples)
    if figure.train is not None:
        mean, std, n = figure.train.mean, figure.train.std, figure.train.n
        interval = interval_document(t_interval(mean, std, n), "t", "training seeds", n)
        document["train"] = asdict(figure.train) | {"interval": interval}
    return document


def _reported_mean(mean: Spread) -> dict[str, Any]:
    """A publication's mean over training seeds; the publication gives no median over attack seeds and no interval."""
    return {"median": None, "std": None, "n": None, "train": asdict(mean) | {"interval": None}}


def interval_document(interval: Interval | None, kind: str, unit: str, n: int) -> dict[str, Any] | None:
    """An interval with its kind (such as ``wilson``), its level, the unit it is taken over, and n of this unit."""
    if interval is None:
        return None
    return {"kind": kind, "level": LEVEL, "unit": unit, "n": n, "low": interval.low, "high": interval.high}


def difference_document(
    found: Decision | SeedTest, test: str = "paired t", unit: str = "training seeds"
) -> dict[str, Any]:
    """A test of two rows; differences are first minus second, in points."""
    interval = interval_document(found.interval, "t", unit, found.n)
    document = {"test": test, "unit": unit, "n": found.n, "difference": found.difference}
    return document | {"interval": interval, "p": found.p}


def decision_document(decision: Decision | None) -> dict[str, Any] | None:
    """The test of two rows, with Holm's correction over its family."""
    if decision is None:
        return None
    corrected = {"p_holm": decision.p_holm, "significant": decision.significant}
    counts = {} if decision.counts is None else dict(zip(("n_first", "n_second"), decision.counts, strict=True))
    return difference_document(decision, decision.test, decision.unit) | counts | corrected


def row_documents(boards: Iterable[Board]) -> Iterator[dict[str, Any]]:
    """Every row of every board."""
    for board in boards:
        for place, row in enumerate(board.rows):
            yield row_document(board, row) | _rank_interval(board, place) | _cost(board, row)


def _cost(board: Board, row: Row) -> dict[str, Any]:
    """What the row's training cost, where it was asked for; null of a model from elsewhere."""
    return {"cost": None if row.cost is None else row.cost.document()} if board.costed else {}


def _rank_interval(board: Board, place: int) -> dict[str, Any]:
    """The interval of a row's rank, where it was asked for; null where the row has no rank."""
    if not board.rank_intervals:
        return {}
    found = board.rank_intervals[place]
    if found is None:
        return {"rank_interval": None}
    ends = {"rank": found.rank, "low": found.low, "high": found.high}
    return {"rank_interval": {"kind": "bootstrap", "level": LEVEL, "unit": board.rank_unit, **ends}}


def _rowless_document(board: Board, rowless: RowlessMethod) -> dict[str, Any]:
    one = rowless.trained
    what = {"method": one.method, "settings": one.settings, "wrappers": list(one.wrappers), "code": one.code}
    where = {"dataset": board.dataset, "arch": one.network, "arch_settings": one.network_settings}
    protocol = {"protocol": board.protocol, "protocol_fingerprint": board.fingerprint}
    return where | what | protocol | {"failed_seeds": failed_document(rowless.failed)}


def render_json(boards: Iterable[Board]) -> str:
    """One JSON object, ``{"rows": [...]}``; a row's document is gone once it is text, since there may be thousands.

    If a method has no row since each training of it failed, there is ``rowless`` as well.
    """
    boards = list(boards)
    rows = [json.dumps(row, indent=2).replace("\n", "\n    ") for row in row_documents(boards)]  # no text has a newline
    inside = "\n    " + ",\n    ".join(rows) + "\n  " if rows else ""
    rowless = [_rowless_document(board, one) for board in boards for one in board.rowless]
    after = f',\n  "rowless": {json.dumps(rowless, indent=2)}'.replace("\n", "\n  ") if rowless else ""
    return f'{{\n  "rows": [{inside}]{after}\n}}'
