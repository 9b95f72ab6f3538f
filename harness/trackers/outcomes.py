"""Events about what comes of the work: whose it is, each accuracy, each finding, and how it ended.

The progress display has no use for them. The conductor reports them for trackers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.events import Event, Finding


@dataclass(frozen=True)
class OwnerOpened(Event):
    """A run, or a model from elsewhere, that a command will work on.

    Attributes:
        owner: what later events call it, such as ``run 12``; at one radius of a sweep, with the radius.
        label: its name in progress lines, such as ``sat-resnet18-cifar10-s0``.
        group: equal for runs that differ in the training seed alone.
        settings: what it is, and how it is attacked, in JSON types.
        tags: the user's.
    """

    owner: str
    label: str
    group: str
    settings: dict[str, Any]
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class OwnerClosed(Event):
    """The command's work on a run or a model is over; ``failure`` says why the training failed, None: it is done."""

    owner: str
    failure: str | None = None


@dataclass(frozen=True)
class EvaluationDone(Event):
    """An evaluation has the verdicts of all its images, some perhaps from an earlier command."""

    owner: str
    checkpoint: str
    attack: str
    seed: int
    correct: int  # images that the network is right on
    images: int

    @property
    def percent(self) -> float:
        """The accuracy, in percent."""
        return 100.0 * self.correct / self.images


@dataclass(frozen=True)
class FindingsKept(Event):
    """The store has new findings, of the checks on a model or on its verdicts."""

    owner: str
    checkpoint: str
    findings: tuple[Finding, ...]


def run_owner(run_id: int) -> str:
    """What events call a run."""
    return f"run {run_id}"
