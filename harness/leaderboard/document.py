"""The leaderboard as JSON that other programs may rely on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from harness.evaluation.statistics import Figure
from harness.leaderboard.ranking import Board, Row


def row_document(board: Board, row: Row) -> dict[str, Any]:
    """One row: percentages, null where there is no figure."""
    return {
        "dataset": board.dataset,
        "arch": row.arch,
        "arch_settings": row.arch_settings,
        "method": row.method,
        "settings": row.settings,
        "wrappers": list(row.wrappers),
        "checkpoint": row.checkpoint,
        "protocol": board.protocol,
        "protocol_fingerprint": board.fingerprint,
        "examples": board.examples,
        "source": board.source,
        "train_seeds": row.train_seeds,
        "rank": row.rank,
        "metrics": {name: _figure(figure) for name, figure in row.metrics.items()},
        "notes": list(row.notes),
        "runs": list(row.runs),
    }


def _figure(figure: Figure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    document: dict[str, Any] = {"median": figure.median, "std": figure.std, "n": figure.n}
    if figure.train is not None:
        document["train"] = {"mean": figure.train.mean, "std": figure.train.std, "n": figure.train.n}
    return document


def row_documents(boards: Iterable[Board]) -> Iterator[dict[str, Any]]:
    """Every row of every board."""
    return (row_document(board, row) for board in boards for row in board.rows)


def render_json(boards: Iterable[Board]) -> str:
    """One JSON object, ``{"rows": [...]}``."""
    return json.dumps({"rows": list(row_documents(boards))}, indent=2)
