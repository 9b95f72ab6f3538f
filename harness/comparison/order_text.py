"""The orders of the same rows on two boards, as text."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from harness.comparison.lines import add_row, bold_line, table_of, text_line
from harness.comparison.orders import OrderComparison, left_out_note
from harness.leaderboard.columns import title_of


def order_parts(found: OrderComparison) -> Iterator[RenderableType]:
    """The same rows on two boards, and how far their orders agree."""
    for side, board in (("A", found.first), ("B", found.second)):
        yield bold_line(f"{side}: {board.heading}, {title_of(board.ranked_by)}")
    table = table_of("row", "A %", "B %")
    for name, (one, other) in found.rows.items():
        add_row(table, name, f"{one:.2f}", f"{other:.2f}")
    yield table
    if found.tau is None or found.interval is None:
        yield text_line("Kendall's tau: none; all figures of a board are equal")
    else:
        drawn = [word for word, alike in (("images", found.same_images), ("networks", found.same_networks)) if alike]
        alike = f"; both boards have the same {' and '.join(drawn)}, which are drawn alike" if drawn else ""
        interval = f"[{found.interval.low:.2f}, {found.interval.high:.2f}]"
        yield text_line(
            f"Kendall's tau-b between the orders: {found.tau:.2f} {interval}, 95 % bootstrap over {found.unit}, on"
            f" {len(found.rows)} rows, which are fixed{alike}"
        )
    yield from (text_line(note) for note in (*found.notes, *left_out_note(found)))
