"""What a worker of a cluster says about an item: events, files that it made, and how the item ended."""

from __future__ import annotations

from dataclasses import dataclass

from harness.events import Event
from harness.execution.executors.child import ItemEnded


@dataclass(frozen=True)
class FileMade:
    """A file of the item's folder, whole: weights, or the state to go on from."""

    name: str
    content: bytes


@dataclass(frozen=True)
class LogGrew:
    """What came to the item's log."""

    content: bytes


Message = Event | FileMade | LogGrew | ItemEnded
