"""Compare all pairs of a board's rows, as one family of tests."""

from __future__ import annotations

from dataclasses import dataclass

from harness.leaderboard.board import MEASURED, Board, Row, Selection
from harness.leaderboard.columns import Column
from harness.leaderboard.pairs import Decision, all_pairs
from harness.leaderboard.ranking import boards, read_verdicts
from harness.store.store import Store


@dataclass(frozen=True)
class Family:
    """All pairs of a board's rows in one column, best row first; Holm's correction goes over all pairs.

    Attributes:
        pairs: the two rows' names -> their comparison; None where they cannot be compared.
    """

    board: Board
    column: Column
    pairs: dict[tuple[str, str], Decision | None]


def families(store: Store, selection: Selection) -> list[Family]:
    """One family for each measured board of two or more ranked rows, in the column that ranks it.

    Raises:
        UnknownName: ``selection.sort`` is no column of any board.
    """
    found = []
    for board in boards(store, selection):
        rows = [row for row in board.rows if row.rank is not None]
        if board.source != MEASURED or len(rows) < 2:
            continue
        verdicts = read_verdicts(store, [network for row in rows for network in row.networks])
        column = board.column(board.ranked_by)
        pairs = all_pairs([row.networks for row in rows], column, verdicts)
        names = _names(rows)
        found.append(Family(board, column, {(names[i], names[j]): decision for (i, j), decision in pairs.items()}))
    return found


def _names(rows: list[Row]) -> list[str]:
    """The rows' labels, followed by network and checkpoint where the rows differ in these."""
    parts = [[row.label for row in rows]]
    for texts in ([row.arch_label for row in rows], [row.checkpoint for row in rows]):
        if len(set(texts)) > 1:
            parts.append(texts)
    return [" ".join(words) for words in zip(*parts, strict=True)]
