"""What goes to a terminal: texts of a store, of data, and of plugins are shown, and change nothing there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from harness.errors import visible_lines


class Terminal(Console):
    """rich's console, on which no text is markup, and control and invisible characters become escapes.

    A text that has such characters takes more room than rich reckons with: it is cut there, and moves nothing else.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Every text that is printed passes here; rich's own control codes stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible_lines(segment.text), segment.style)
