"""Tables as text and as HTML. Long tables are cut, and say how many rows are left out."""

from __future__ import annotations

import html
import json
from datetime import datetime
from typing import Any

from harness.api.contents import Contents
from harness.api.packed import Repeated
from harness.errors import visible

TEXT_ROWS, HTML_ROWS = 10, 25
WIDEST = 24  # characters of a cell of the text
_WIDE = 100  # characters of a line of the text: the columns that do not fit are named below


def as_text(table: Contents) -> str:
    """The first rows below the names of the columns, as wide as a terminal; the other columns are named.

    A column with the same value in all rows stands in one line above.
    """
    alike = _alike(table)
    names = [name for name in table.columns if name not in alike] or list(table.columns)
    first = [table.row(place) for place in range(min(len(table), TEXT_ROWS))]
    rows = [[_cut(_cell(row[name])) for name in names] for row in first]
    widths = [max(map(len, cells)) for cells in zip(names, *rows, strict=True)]
    fitting = 1
    while fitting < len(widths) and sum(widths[: fitting + 1]) + 2 * fitting <= _WIDE:
        fitting += 1
    lines = [_heading(table), *(f"note: {visible(note)}" for note in table.notes)]
    if alike:
        lines.append(f"in all rows: {', '.join(f'{name} {_cut(_cell(value))}' for name, value in alike.items())}")
    for cells in (names, *rows):
        places = list(zip(names, cells, widths, strict=True))[:fitting]
        lines.append("  ".join(_aligned(table, *place) for place in places).rstrip())
    if len(table) > len(rows):
        lines.append(_left_out(len(table) - len(rows)))
    if fitting < len(names):
        lines.append(f"more columns: {', '.join(names[fitting:])}")
    return "\n".join(lines)


def _alike(table: Contents) -> dict[str, Any]:
    """The columns with one value, which is not None, in all of several rows. JSON, and arrays, are not looked at."""
    alike = {}
    for name in table.columns if len(table) > 1 else ():
        held = table.values[name]
        values = held.values if isinstance(held, Repeated) else held
        looked_at = isinstance(values, list) and table.columns[name].kind != "json" and values[0] is not None
        if looked_at and all(value == values[0] for value in values):
            alike[name] = values[0]
    return alike


def _aligned(table: Contents, name: str, cell: str, width: int) -> str:
    return cell.rjust(width) if table.columns[name].kind in ("int", "float") else cell.ljust(width)


def as_html(table: Contents) -> str:
    """One table with a caption; the title of each column's head has its unit and meaning."""
    heads = "".join(
        f'<th title="{html.escape(_about(table, name))}" scope="col">{html.escape(name)}</th>' for name in table.columns
    )
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(_cell(value))}</td>' for value in row.values())}</tr>"
        for row in map(table.row, range(min(len(table), HTML_ROWS)))
    )
    notes = "".join(f"<p>{html.escape(visible(note))}</p>" for note in table.notes)
    more = len(table) - HTML_ROWS
    rest = f"<p>{html.escape(_left_out(more))}</p>" if more > 0 else ""
    caption = f"<caption>{html.escape(_heading(table))}</caption>"
    return f"<div><table>{caption}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{notes}{rest}</div>"


def _heading(table: Contents) -> str:
    return visible(f"{table.title}: {len(table):,} row{'' if len(table) == 1 else 's'}")


def _about(table: Contents, name: str) -> str:
    column = table.columns[name]
    return f"{column.meaning} [{column.unit}]" if column.unit else column.meaning


def _left_out(rows: int) -> str:
    return f"… and {rows:,} more row{'' if rows == 1 else 's'}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}" if 0.1 <= abs(value) < 1e6 else f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, (dict, list, tuple)):
        return visible(json.dumps(value, ensure_ascii=False, default=str))
    return visible(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
