"""The leaderboard as a table: a row for each figure, or for each row of a board."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.api import columns
from harness.api.columns import COST, RANK_INTERVAL
from harness.api.contents import TableColumn
from harness.api.filters import NAMES, chosen
from harness.api.table import Table
from harness.errors import UnknownName
from harness.leaderboard.board import Board, Row, Selection
from harness.leaderboard.failed_text import seed_text
from harness.leaderboard.ranking import boards, unranked
from harness.leaderboard.tidy import COLUMNS, SETTING, cost_columns, tidy_cost, tidy_rows, varied_cells, varied_columns
from harness.store.store import Store

TITLE = "leaderboard"
LEADERBOARD = columns.columns(*COLUMNS)
OF_ROW = columns.columns(
    *("dataset", "source", "protocol", "fingerprint", "examples", "rank", "method", "network", "checkpoint"),
    *("networks", "tied", "flags", "not_judged", "dataset_fingerprint", "sample", "failed", "failed_of", "failed_why"),
    "unchecked",
)
"""The columns of the wide form before those of the attacks."""

OF_ATTACK = ("median_percent", "std_percent", "n", "train_mean_percent")
"""The columns that each attack has in the wide form: ``pgd_median_percent``, and so on."""


def leaderboard_table(
    store: Store,
    selected: Mapping[str, Any],
    sort: str | None,
    *,
    wide: bool = False,
    intervals: bool = False,
    cost: bool = False,
    plugins: Sequence[Path] = (),
    filters: Mapping[str, object],
) -> Table:
    """The boards of a store; see ``Results.leaderboard``.

    Args:
        selected: what ``Selection`` selects rows by.
        intervals: of the ranks.
        cost: of the trainings, whose passes are counted by the methods: ``plugins`` are files of these.
    """
    found = boards(store, replace(Selection(sort=sort), **selected))
    if not found:
        require_known(unranked(store), selected)
    if intervals:
        from harness.leaderboard.rank_spread import with_rank_intervals

        found = [with_rank_intervals(store, board) for board in found]
    if cost:
        from harness.planning.spent import with_costs

        found = [with_costs(store, board, plugins) for board in found]
    table = wide_table if wide else board_table
    return table(found, filters, RANK_INTERVAL if intervals else ())


def board_table(
    found: Sequence[Board], filters: Mapping[str, object] | None = None, more: tuple[TableColumn, ...] = ()
) -> Table:
    """A row for each figure.

    Args:
        more: columns that stand last: ``RANK_INTERVAL``, or none.
    """
    rows = [row for board in found for row in _figures(board)]
    of_table = (*LEADERBOARD, *_of_settings(found, rows), *_of_costs(found, rows), *more)
    return Table.of_rows(TITLE, of_table, chosen(rows, of_table, filters or {}), _notes(found))


def _figures(board: Board) -> Iterator[dict[str, Any]]:
    """The tidy rows of a board, with the intervals of ranks, and the further names that filters may give."""
    for place, row in enumerate(board.rows):
        more = _rank_interval(board, place) | _further_names(row)
        for tidy in tidy_rows([replace(board, rows=(row,), ranking=board.ranked)]):
            yield tidy | more


def _of_costs(found: Sequence[Board], rows: Sequence[dict[str, Any]]) -> tuple[TableColumn, ...]:
    """The columns of costs, if these were asked for; a row without a cost gets None there."""
    names = cost_columns(found)
    for row in rows:
        row |= {name: row.get(name) for name in names}
    return COST if names else ()


def _of_settings(found: Sequence[Board], rows: Sequence[dict[str, Any]]) -> tuple[TableColumn, ...]:
    """A column for each setting in which rows of one method differ; a row that lacks it gets None there."""
    of_settings = []
    for name in varied_columns(found):
        having = [row for row in rows if row.setdefault(name, None) is not None]
        numbers = all(isinstance(row[name], int | float) and not isinstance(row[name], bool) for row in having)
        if not numbers:
            for row in having:
                row[name] = str(row[name])
        meaning = f"the row's setting {name.removeprefix(SETTING)}; rows of one method differ in it"
        of_settings.append(TableColumn(name, "float" if numbers else "category", "", meaning))
    return tuple(of_settings)


def _further_names(row: Row) -> dict[str, Any]:
    return {NAMES: {"method": (row.short_label, row.method), "network": (row.network,)}}


def _rank_interval(board: Board, place: int) -> dict[str, Any]:
    """The values of ``RANK_INTERVAL``; None where nobody asked, or the row has no such interval."""
    found = board.rank_intervals[place] if board.rank_intervals else None
    ends = (None, None, None) if found is None else (found.low, found.high, board.rank_unit)
    return dict(zip((column.name for column in RANK_INTERVAL), ends, strict=True))


def _notes(found: Sequence[Board]) -> list[str]:
    """What the intervals of ranks are over, or why a board has none."""
    heads = ((board, "intervals of ranks, " if board.rank_intervals else "") for board in found if board.rank_note)
    return [f"{board.heading}: {head}{board.rank_note}" for board, head in heads]


def wide_table(
    found: Sequence[Board], filters: Mapping[str, object] | None = None, more: tuple[TableColumn, ...] = ()
) -> Table:
    """A row for each row of a board; the attacks' columns stand in the order of the boards' columns.

    Args:
        more: columns that stand last: ``RANK_INTERVAL``, or none.
    """
    attacks = list(dict.fromkeys(column for board in found for column in board.columns))
    of_attacks = tuple(
        TableColumn(f"{attack}_{one.name}", one.kind, one.unit, f"{attack}: {one.meaning}")
        for attack in attacks
        for one in columns.columns(*OF_ATTACK)
    )
    rows = [row for board in found for row in _wide_rows(board, attacks)]
    of_rows = (*OF_ROW, *_of_settings(found, rows), *_of_costs(found, rows))
    kept = chosen(rows, (*of_rows, *more), filters or {})
    return Table.of_rows(TITLE, (*of_rows, *of_attacks, *more), kept, _notes(found))


def _wide_rows(board: Board, attacks: Sequence[str]) -> Iterator[dict[str, Any]]:
    for place, row in enumerate(board.rows):
        wide: dict[str, Any] = {
            "dataset": board.dataset,
            "source": board.source,
            "protocol": board.protocol,
            "fingerprint": board.fingerprint,
            "examples": board.examples,
            "rank": row.rank,
            "method": row.label,
            "network": row.arch_label,
            "checkpoint": row.checkpoint,
            "networks": row.train_seeds,
            "tied": board.tied(row),
            "flags": None if row.flags is None else "".join(flag.mark for flag in row.flags),
            "not_judged": " ".join(flag.check for flag in row.not_judged),
            "dataset_fingerprint": board.dataset_fingerprint,
            "sample": None if board.images is None else board.images.sample,
            "failed": None if row.failed is None else row.failed.count,
            "failed_of": None if row.failed is None else row.failed.of,
            "failed_why": None if row.failed is None else "; ".join(map(seed_text, row.failed.seeds)),
            "unchecked": " ".join(row.unchecked),
            **varied_cells(board, row),
            **tidy_cost(row),
            **_rank_interval(board, place),
            **_further_names(row),
        }
        for attack in attacks:
            figure, mean = row.metrics.get(attack), row.means.get(attack)
            spoilt = row.failed is not None and row.failed.spoils_means
            train = mean or (figure.train if figure is not None and not spoilt else None)
            values = (figure and figure.median, figure and figure.std, figure and figure.n, train and train.mean)
            wide |= {f"{attack}_{name}": value for name, value in zip(OF_ATTACK, values, strict=True)}
        yield wide


def require_known(everything: Sequence[Board], selected: Mapping[str, str | None]) -> None:
    """Refuse a value that no row has; values that rows have, but no row together, select nothing."""
    rows = [(board, row) for board in everything for row in board.rows]
    known = {
        "dataset": {board.dataset for board, _ in rows},
        "network": {row.network for _, row in rows},
        "checkpoint": {row.checkpoint for _, row in rows},
        "protocol": {name for board, _ in rows for name in (board.protocol, board.fingerprint, *board.aliases)},
    }
    for name, value in selected.items():
        there = known[name]
        begun = name == "protocol" and any(text.startswith(str(value)) for text in there)
        if rows and value is not None and value not in there and not begun:
            raise UnknownName(name, value, there)
