"""All pairs of a board's rows as a table: the test of each pair, corrected over the board."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.api import columns
from harness.api.contents import TableColumn
from harness.api.ranked import require_known
from harness.api.table import Table
from harness.comparison.comparison import Family, families, rivals
from harness.leaderboard.board import Selection
from harness.leaderboard.pairs import Decision
from harness.leaderboard.ranking import unranked
from harness.store.store import Store

PAIRS = columns.columns(
    *("dataset", "dataset_fingerprint", "sample", "examples", "protocol", "fingerprint", "attack", "first", "second"),
    *("unit", "units", "difference_points", "low_points", "high_points", "test", "p", "p_holm", "significant"),
    *("first_seeds", "second_seeds"),
    own=(
        TableColumn("attack", "category", "", "the column that is compared: an attack, or `worst_case`"),
        TableColumn("first", "category", "", "the better row, with network and checkpoint where the board has several"),
        TableColumn("p_holm", "float", "", "the same, corrected over all pairs of the board by Holm's method"),
        TableColumn("significant", "bool", "", "whether the rows differ significantly: `p_holm` is below 0.05"),
    ),
)


def pair_table(store: Store, selection: Selection) -> Table:
    """All pairs of rows of the chosen boards; see ``Results.compare_all``."""
    compared = rivals(store, selection)
    if not compared:
        selected = {name: getattr(selection, name) for name in ("dataset", "network", "protocol", "checkpoint")}
        require_known(unranked(store), selected)
    found = families(store, compared)
    rows = [row for family in found for row in _rows(family)]
    notes = [f"{family.board.heading}: {note}" for family in found for note in family.notes]
    return Table.of_rows("all pairs of rows", PAIRS, rows, notes)


def _rows(family: Family) -> Iterator[dict[str, Any]]:
    board = family.board
    common = {
        "dataset": board.dataset,
        "dataset_fingerprint": board.dataset_fingerprint,
        "sample": family.column.images.sample,
        "examples": board.examples,
        "protocol": board.protocol,
        "fingerprint": board.fingerprint,
        "attack": family.column.name,
    }
    empty = dict.fromkeys((column.name for column in PAIRS), None)
    for (first, second), decision in family.pairs.items():
        yield empty | common | {"first": first, "second": second} | _tested(decision)


def _tested(decision: Decision | None) -> dict[str, Any]:
    """The test of a pair; nothing where the rows cannot be compared."""
    if decision is None:
        return {}
    tested = {
        "unit": decision.unit,
        "units": decision.n,
        "difference_points": decision.difference,
        "test": decision.test,
        "p": decision.p,
        "p_holm": decision.p_holm,
        "significant": decision.significant,
    }
    if decision.interval is not None:
        tested |= {"low_points": decision.interval.low, "high_points": decision.interval.high}
    if decision.over_seeds:
        first, second = decision.counts or (decision.n, decision.n)
        tested |= {"first_seeds": first, "second_seeds": second}
    return tested
