"""In what two protocols differ, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.api.contents import TableColumn
from harness.api.table import Table
from harness.comparison.protocols import APART, protocol_difference
from harness.store.store import Store

DIFFERENCES = (
    TableColumn("setting", "category", "", "name of a setting in which the protocols differ"),
    TableColumn("first", "json", "", "its value in the first protocol; none where it has no such attack or wrapper"),
    TableColumn("second", "json", "", "its value in the second protocol"),
    TableColumn("in_fingerprint", "bool", "", "whether the setting is part of a protocol's fingerprint"),
)


def difference_table(store: Store, first: str, second: str, plugins: Sequence[Path]) -> Table:
    """Compare two protocols; see ``Results.protocol_diff``."""
    found = protocol_difference(store, first, second, plugins)
    rows = [
        {"setting": each.key, "first": each.first, "second": each.second, "in_fingerprint": each.key not in APART}
        for each in found.settings
    ]
    same = f"{first} and {second} are the same protocol [{found.first.fingerprint[:8]}]" if found.same else ""
    notes = tuple(filter(None, (same, found.note)))
    return Table.of_rows(f"settings in which {first} and {second} differ", DIFFERENCES, rows, notes=notes)
