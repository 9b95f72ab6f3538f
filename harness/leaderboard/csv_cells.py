"""Values as cells of CSV, which spreadsheets open: no text becomes a formula, and numbers stay numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.errors import legible

_FORMULA = re.compile("[=+@\uff1d\uff0b\uff20\uff0d-]")
_NUMBER = re.compile(r"[+-]?(\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def csv_cell(value: object) -> object:
    """A text in one line, with an apostrophe before it if a spreadsheet would compute it; any other value as it is."""
    if not isinstance(value, str):
        return value
    shown = legible(value)
    return f"'{shown}" if _FORMULA.match(shown.lstrip()) and not _NUMBER.fullmatch(shown) else shown


def csv_cells(values: Iterable[object]) -> Iterator[object]:
    """The cells of a line."""
    return map(csv_cell, values)
