"""The leaderboard as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.errors import visible
from harness.leaderboard.board import Board
from harness.leaderboard.cells import cells, failed_lines, flag_lines, header, heading, spread_lines
from harness.leaderboard.legend import answer, legend, notes, unchecked

_ACTIVE = re.compile(r"[\\`*<>$~]|\](?=\()|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[#+-](?= )|(?<=^\d)[.)](?= )")


def render_markdown(boards: Sequence[Board], *, bibtex: str = "") -> str:
    """One table for each board, under a line that says what its rows share; then BibTeX, if there is any."""
    parts = []
    for board in boards:
        texts = [header(board), *(cells(board, row, " ") for row in board.rows)]
        head, *rows = (list(map(literal, line)) for line in texts)
        table = markdown_table(head, rows)
        below = [answer(board), *spread_lines(board), *failed_lines(board), *flag_lines(board), *unchecked(board)]
        parts += [f"**{literal(heading(board))}**", table, *map(literal, below)]
    parts += map(literal, [*legend(boards), *notes(boards)])
    return "\n\n".join([*parts, *([f"```bibtex\n{bibtex}\n```"] if bibtex else [])])


def literal(text: str) -> str:
    """The text in one line, with a backslash before each character that Markdown would act on."""
    return _ACTIVE.sub(r"\\\g<0>", visible(text))


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = (map(_escaped, row) for row in (header, ["---"] * len(header), *rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
