"""A progress display that a test drives: its clock, and what it wrote."""

from __future__ import annotations

import io
import re

from rich.console import Console

from harness.api.progress import Watch
from harness.events import Event


class Display:
    """A watch, its clock, and what it wrote."""

    def __init__(self, *, terminal: bool, width: int = 80, height: int = 24) -> None:
        self.now, self.file = 100.0, io.StringIO()
        console = Console(file=self.file, force_terminal=terminal, width=width, height=height, legacy_windows=False)
        self.watch = Watch(console=console, time_s=lambda: self.now, ticking=False)

    def hear(self, *events: Event) -> None:
        for event in events:
            self.watch(event)

    def wait(self, seconds: int) -> list[str]:
        """Let the seconds pass; give the lines that were written, without colours and moves of the cursor."""
        before = len(self.file.getvalue())
        for _ in range(seconds):
            self.now += 1
            self.watch.tick()
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", self.file.getvalue()[before:]).splitlines()
