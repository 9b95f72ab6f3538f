"""Texts inside Markdown. What a store holds is shown as it is: no text becomes a link, a heading, a tag, or a cell.

Names, settings, reasons, and notes come from users' files. Each stands in a code span, in which Markdown reads nothing
but the end of the span, and a table nothing but the end of the cell; both characters are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.errors import visible
from harness.plugin.ball import radius_text

_ENDS = {"`": r"\x60", "|": r"\x7c"}  # of a span, and of a table's cell; escaped as ``visible`` escapes


def code_span(text: str) -> str:
    r"""A text of a store as a code span, in one line; control and invisible characters become ``\x1b`` and so on."""
    shown = visible(text)
    for end, escape in _ENDS.items():
        shown = shown.replace(end, escape)
    return f"`{shown}`" if shown.strip() else "(empty)"


def fenced(text: str, language: str = "") -> str:
    """A text of several lines as a block of code, whose fence is longer than any run of backticks in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def cells_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def settings_span(settings: Mapping[str, Any]) -> str:
    """Settings as one code span, ``epsilon=8/255 steps=20``; ``none`` where there are none."""
    lengths = ("epsilon", "step_size")
    texts = [f"{key}={radius_text(v) if key in lengths and isinstance(v, float) else v}" for key, v in settings.items()]
    return code_span(" ".join(texts)) if texts else "none"
