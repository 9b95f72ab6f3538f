"""Standard output: JSON, and tables. A table fits the terminal; in a file or a pipe its width is fixed, or COLUMNS."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

from harness.errors import visible, visible_lines

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from harness.leaderboard.board import Board

PIPE_WIDTH = 140  # characters
LEAST_WIDTH = 48  # room for a rank, a name, and a figure; a narrower terminal folds the lines, which cuts nothing


def print_json(document: object) -> None:
    """Print one JSON document, for people and programs."""
    print(json.dumps(document, indent=2))


def print_json_line(document: object) -> None:
    """Print one JSON document in one line, at once: it is one of many, and a program waits for it."""
    print(json.dumps(document), flush=True)


def moving_lines() -> MovingLines | None:
    """What shows lines that are drawn anew in their place; None where standard output is no terminal that can."""
    console = _console()
    return MovingLines(console) if console.is_terminal and not console.is_dumb_terminal else None


class MovingLines:
    """Lines of a terminal that are drawn anew in their place, and taken away at the end. A context manager."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._console, self._live = console, Live(console=console, auto_refresh=False, transient=True)

    @property
    def size(self) -> tuple[int, int]:
        """The room that there is now: characters of a line, and lines; one is left for the cursor."""
        return self._console.width, max(1, self._console.height - 1)

    def show(self, lines: Sequence[str]) -> None:
        """Draw these lines in place of those before."""
        from rich.text import Text

        self._live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def print_boards(
    boards: Sequence[Board], *, intervals: bool = False, explained: bool = False, brief: bool = False
) -> None:
    """Print the boards of a leaderboard; ``Detail`` says what each word adds."""
    print_page(board_page(boards, intervals=intervals, explained=explained, brief=brief))


def board_page(
    boards: Sequence[Board], *, intervals: bool = False, explained: bool = False, brief: bool = False
) -> str:
    """What ``print_boards`` prints, with the colours and for the width of this terminal."""
    from harness.leaderboard.render_table import Detail, render_table

    console = _console()
    with console.capture() as captured:
        for part in render_table(boards, console, Detail(intervals=intervals, explained=explained, brief=brief)):
            console.print(part)
    return captured.get()


def print_page(page: str) -> None:
    """Print a page that ``board_page`` made: its escapes are those of rich, and no others are in it."""
    print(page, end="")


def page_style() -> list[object]:
    """What a page depends on beside its boards, in JSON types."""
    console = _console()
    return [console.width, console.is_terminal, console.color_system, console.no_color, console.encoding]


def board_text(
    boards: Sequence[Board], *, intervals: bool = False, explained: bool = False, brief: bool = False
) -> str:
    """The boards as they are printed into a pipe, without colours."""
    import io

    from harness.api.terminal import Terminal
    from harness.leaderboard.render_table import Detail, render_table

    text = io.StringIO()
    console = Terminal(file=text, width=_pipe_width(), color_system=None)
    for part in render_table(boards, console, Detail(intervals=intervals, explained=explained, brief=brief)):
        console.print(part)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def print_parts(parts: Iterable[RenderableType]) -> None:
    """Print lines and tables, one below the other."""
    console = _console()
    for part in parts:
        console.print(part)


def print_line(text: str, *, error: bool = False) -> None:
    """Print one line at once: control and invisible characters, also newlines, become escapes.

    What is named may be somebody else's. Everything that a command prints goes through this module.
    """
    print(visible(text), file=sys.stderr if error else sys.stdout, flush=error)


def print_lines(lines: Iterable[str], *, error: bool = False) -> None:
    """Print lines, each as ``print_line`` does."""
    for line in lines:
        print_line(line, error=error)


def print_document(text: str) -> None:
    """Print a text of several lines, which ends with a newline; other control characters become escapes."""
    print(document_page(text), end="")


def document_page(text: str) -> str:
    """What ``print_document`` prints."""
    return visible_lines(text) + ("" if text.endswith("\n") else "\n")


def _console() -> Console:
    from harness.api.terminal import Terminal

    console = Terminal()
    width = console.width if console.is_terminal else _pipe_width()
    return console if width == console.width >= LEAST_WIDTH else Terminal(width=max(width, LEAST_WIDTH))


def _pipe_width() -> int:
    wanted = os.environ.get("COLUMNS", "")
    return max(int(wanted), LEAST_WIDTH) if wanted.isdecimal() and int(wanted) > 0 else PIPE_WIDTH
