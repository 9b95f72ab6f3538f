"""The contract of a tracker: what it is told, in the order in which it happens, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from harness.events import EpochRecord, Finding
from harness.trackers.outcomes import EvaluationDone

RunStatus = Literal["done", "failed", "stopped"]


@dataclass(frozen=True)
class TrackedRun:
    """One command's work on one run, or on one model from elsewhere.

    Attributes:
        key: names it among the runs of the command, such as ``run 12``. A run that another command takes up again is
            a tracked run of its own, which is told all epochs from the first.
        name: such as ``sat-resnet18-cifar10-s0``.
        group: equal for runs that differ in the training seed alone.
        settings: what it is, and how it is attacked, in JSON types. No path, no address, no secret is among them.
        tags: the user's.
    """

    key: str
    name: str
    group: str
    settings: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


class Tracker:
    """Follows the work of a command. A subclass overrides what it wants to hear.

    Several runs may be open at the same time. Calls come one after the other, from one thread, which is not the main
    one. A call that raises an exception ends the tracker and not the run: a note says why, and the tracker hears
    nothing more. The work waits for no call; at the end of the command, it waits as ``GuardedTracker`` says.

    A tracker must not draw from a global random generator, nor change torch's modes: it would change the figures.
    """

    name = "tracker"
    """What notes call it."""

    def run_began(self, run: TrackedRun) -> str | None:
        """Take up a run; return where it can be seen, for a note, or None."""
        return None

    def epoch_done(self, run: TrackedRun, record: EpochRecord) -> None:
        """Take an epoch of its training. Each epoch is told once, in order."""

    def progressed(self, done: int, of: int) -> None:
        """Take how many blocks of attacks are done in this command, of all its runs."""

    def evaluation_done(self, run: TrackedRun, evaluation: EvaluationDone) -> None:
        """Take the accuracy under one attack with one seed, on all its test images."""

    def flagged(self, run: TrackedRun, checkpoint: str, finding: Finding) -> None:
        """Take a finding that warns."""

    def run_ended(self, run: TrackedRun, status: RunStatus, reason: str | None) -> None:
        """End a run; ``reason`` says why it failed."""

    def close(self) -> None:
        """Send what is left. It is the last call, and comes after a failure, too."""

    def abandon(self) -> None:
        """Give up at once, from another thread: a call does not return."""
