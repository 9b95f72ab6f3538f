"""Standard output: JSON, and tables. A table fits the terminal; in a file or a pipe its width is fixed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from harness.leaderboard.board import Board

PIPE_WIDTH = 140  # characters


def print_json(document: object) -> None:
    """Print one JSON document, for people and programs."""
    print(json.dumps(document, indent=2))


def print_boards(boards: Sequence[Board]) -> None:
    """Print the boards of a leaderboard."""
    from harness.leaderboard.render_table import render_table

    console = _console()
    for part in render_table(boards, console):
        console.print(part)


def print_parts(parts: Iterable[RenderableType]) -> None:
    """Print lines and tables, one below the other."""
    console = _console()
    for part in parts:
        console.print(part)


def _console() -> Console:
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)
