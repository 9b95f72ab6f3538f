"""Live progress on standard error: moving bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from harness.cli.options import Output
from harness.events import EpochDone, EvaluationProgress, Event, Examined, Logged, Noted, TrainingProgress

PLAIN_INTERVAL_S = 10.0


def duration(seconds: float) -> str:
    """A length of time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Watch:
    """Receives events and shows how far the work is, unless the output is quiet. A context manager."""

    def __init__(self, output: Output) -> None:
        self._output = output
        console = Console(stderr=True)
        self._bars = (
            Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), console=console)
            if console.is_terminal and not output.quiet
            else None
        )
        self._tasks: dict[str, TaskID] = {}
        self._printed_s: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if self._output.quiet:
            return
        if isinstance(event, Noted):
            self._print(f"harness: {event.text}")
        elif isinstance(event, Logged):
            if self._output.verbose:
                self._print(event.text)
        elif isinstance(event, TrainingProgress):
            note = (
                f"epoch {event.epoch}/{event.epochs} batch {event.batch}/{event.batches} loss {event.loss:.4f}"
                f" {event.images_per_s:.0f} images/s, {duration(event.left_s)} left"
            )
            done = (event.epoch - 1 + event.batch / event.batches) / event.epochs
            self._tell(event.label, done, note, PLAIN_INTERVAL_S)
        elif isinstance(event, EpochDone):
            record = event.record
            rate = record.images / record.duration_s
            note = f"epoch {record.epoch}/{event.epochs} loss {record.loss:.4f} {rate:.0f} images/s"
            last = record.epoch == event.epochs
            self._tell(event.label, record.epoch / event.epochs, note, 0.0 if last else PLAIN_INTERVAL_S)
        elif isinstance(event, Examined):
            flagged = sum(finding.status == "flagged" for finding in event.findings)
            self._tell(f"checks of {event.label}", 1.0, f"{len(event.findings)} made, {flagged} flagged", 0.0)
        elif isinstance(event, EvaluationProgress):
            note = (
                f"{event.label} {event.checkpoint}: {event.attack}, seed {event.seed};"
                f" block {event.done}/{event.blocks}, {duration(event.left_s)} left"
            )
            last = event.done == event.blocks
            self._tell("evaluation", event.done / event.blocks, note, 0.0 if last else PLAIN_INTERVAL_S / 2)

    def _tell(self, label: str, done: float, note: str, interval_s: float) -> None:
        if self._bars is None:
            now = time.monotonic()
            if now - self._printed_s.get(label, -1e9) >= interval_s:
                self._printed_s[label] = now
                self._print(f"{label}: {note}")
            return
        if label not in self._tasks:
            self._tasks[label] = self._bars.add_task(label, total=1.0, note=note)
        self._bars.update(self._tasks[label], completed=done, note=note)

    def _print(self, line: str) -> None:
        """Print a line above the bars, without markup."""
        if self._bars is None:
            print(line, file=sys.stderr, flush=True)
        else:
            self._bars.console.print(Text(line), soft_wrap=True)

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()
