"""The same rows on the boards of two protocols, as a table: both figures of each row, and how far the orders agree."""

from __future__ import annotations

from typing import Any

from harness.api.contents import TableColumn
from harness.api.table import Table
from harness.comparison.orders import OrderComparison, compare_orders, left_out_note
from harness.leaderboard.board import Selection
from harness.store.store import Store


def _of_board(side: str) -> tuple[TableColumn, ...]:
    return (
        TableColumn(side, "category", "", f"protocol of the {side} board"),
        TableColumn(f"{side}_fingerprint", "category", "", "fingerprint of that protocol"),
        TableColumn(f"{side}_dataset", "category", "", "name of that board's data set"),
        TableColumn(f"{side}_attack", "category", "", "the column by which that board ranks"),
        TableColumn(f"{side}_examples", "int", "images", "how many test images that board has"),
        TableColumn(
            f"{side}_networks", "int", "", "networks of each row there, one a training seed, that tau's interval draws"
        ),
        TableColumn(f"{side}_percent", "float", "%", f"figure of the row on the {side} board"),
    )


_FIRST, _SECOND = _of_board("first"), _of_board("second")
ORDERS = (
    TableColumn("row", "category", "", "the method, and network and checkpoint where a board has several"),
    _FIRST[-1],
    _SECOND[-1],
    *_FIRST[:-1],
    *_SECOND[:-1],
    TableColumn("tau", "float", "", "Kendall's tau-b between both orders; none where all figures of a board are equal"),
    TableColumn("tau_low", "float", "", "lower end of tau's 95 % bootstrap interval"),
    TableColumn("tau_high", "float", "", "upper end of tau's 95 % bootstrap interval"),
    TableColumn("drawn", "category", "", "what the interval draws: `test images`, or these `and training seeds`"),
    TableColumn("same_images", "bool", "", "whether both boards have the same images, which are then drawn alike"),
    TableColumn("same_networks", "bool", "", "whether both boards have the same networks, which are then drawn alike"),
)


def order_table(store: Store, protocols: tuple[str, str], selection: Selection) -> Table:
    """Compare the orders of two boards; see ``Results.compare_protocols``."""
    found = compare_orders(store, protocols, selection)
    common = _common(found)
    rows = [
        common | {"row": name, "first_percent": one, "second_percent": other}
        for name, (one, other) in found.rows.items()
    ]
    title = f"orders of {found.first.protocol} and {found.second.protocol}"
    return Table.of_rows(title, ORDERS, rows, notes=(*found.notes, *left_out_note(found)))


def _common(found: OrderComparison) -> dict[str, Any]:
    """What is the same in all rows."""
    common: dict[str, Any] = {
        "tau": found.tau,
        "tau_low": found.interval.low if found.interval is not None else None,
        "tau_high": found.interval.high if found.interval is not None else None,
        "drawn": found.unit,
        "same_images": found.same_images,
        "same_networks": found.same_networks,
    }
    for side, board, networks in zip(("first", "second"), (found.first, found.second), found.networks, strict=True):
        common |= {
            side: board.protocol,
            f"{side}_fingerprint": board.fingerprint,
            f"{side}_dataset": board.dataset,
            f"{side}_attack": board.ranked_by,
            f"{side}_examples": board.examples,
            f"{side}_networks": networks,
        }
    return common
