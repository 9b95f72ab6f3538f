"""Tells trackers of the events of a command: of runs that work has begun on, and of each epoch once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from harness.errors import one_line
from harness.events import EpochDone, EvaluationProgress, Event, TrainingBegan
from harness.trackers.guarded import PATIENCE_S, PATIENCE_STOPPED_S, GuardedTracker, Tell
from harness.trackers.outcomes import EvaluationDone, FindingsKept, OwnerClosed, OwnerOpened, run_owner
from harness.trackers.tracker import RunStatus, TrackedRun, Tracker


class Tracking:
    """Receives the events of a command, and passes on to each tracker what it is told. A context manager.

    A run begins for the trackers when a worker has begun on it: a run that waits for its turn does not seem to be
    under way. If the command ends early, the runs that are under way are ended as stopped or failed.

    Args:
        note, alert: receive, from other threads, where each tracker can be seen, and that it failed.
    """

    def __init__(self, trackers: Sequence[Tracker], note: Tell, alert: Tell) -> None:
        self._guarded = [GuardedTracker(tracker, note, alert) for tracker in trackers]
        self._waiting: dict[str, TrackedRun] = {}
        self._begun: dict[str, TrackedRun] = {}
        self._epochs: dict[str, int] = {}  # the last epoch that was told

    def __call__(self, event: Event) -> None:
        """Pass on one event."""
        if not self._guarded:
            return
        if isinstance(event, OwnerOpened):
            run = TrackedRun(event.owner, event.label, event.group, event.settings, event.tags)
            self._waiting[event.owner] = run
        elif isinstance(event, TrainingBegan):
            self._run(run_owner(event.run_id))
        elif isinstance(event, EpochDone):
            self._hear_epoch(event)
        elif isinstance(event, EvaluationProgress):
            self._call("progressed", event.done, event.blocks)
        elif isinstance(event, EvaluationDone):
            if (run_ := self._run(event.owner)) is not None:
                self._call("evaluation_done", run_, event)
        elif isinstance(event, FindingsKept):
            for finding in (finding for finding in event.findings if finding.status == "flagged"):
                if (run_ := self._run(event.owner)) is not None:
                    self._call("flagged", run_, event.checkpoint, finding)
        elif isinstance(event, OwnerClosed):
            self._hear_end(event)

    def _hear_epoch(self, event: EpochDone) -> None:
        """A training that goes on after a stop reports its earlier epochs again; an epoch is told once, in order."""
        owner, epoch = run_owner(event.run_id), event.record.epoch
        run = self._run(owner)
        if run is not None and epoch > self._epochs.get(owner, 0):
            self._epochs[owner] = epoch
            self._call("epoch_done", run, event.record)

    def _hear_end(self, event: OwnerClosed) -> None:
        if event.failure is not None:
            self._run(event.owner)  # it may have failed before a worker took it
        run = self._begun.pop(event.owner, None)
        self._waiting.pop(event.owner, None)
        if run is not None:
            self._call("run_ended", run, "done" if event.failure is None else "failed", event.failure)

    def _run(self, owner: str) -> TrackedRun | None:
        """The run of that name, which begins if it has not; None if no run of that name is open."""
        if owner in self._waiting:
            self._begun[owner] = self._waiting.pop(owner)
            self._call("run_began", self._begun[owner])
        return self._begun.get(owner)

    def _call(self, method: str, *arguments: object) -> None:
        for guarded in self._guarded:
            guarded.call(method, *arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        failed = isinstance(error, Exception)
        status: RunStatus = "failed" if failed else "stopped"
        for run in self._begun.values():
            self._call("run_ended", run, status, one_line(error) if failed and error is not None else None)
        for guarded in self._guarded:
            guarded.close(PATIENCE_STOPPED_S if error is not None else PATIENCE_S)
