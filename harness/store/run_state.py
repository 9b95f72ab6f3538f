"""What became of a run: queued, running, done, failed, cancelled, lost, or preempted; who, when, where, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from harness.runtime.worker import Worker

State = Literal["queued", "running", "done", "failed", "cancelled", "lost", "preempted"]
"""A queued run waits for a process that is at work on others. A lost one was given up by nobody: its process is gone,
or an error ended it. A preempted one was stopped by the system, a cancelled one by the user. The same command goes on
with all of them but those that are done or failed."""

OLDER = "an older version of harness began it, and no process is known to train it"


@dataclass(frozen=True)
class RunState:
    """What became of a run.

    Attributes:
        worker: the process that says so, or trains it now; None of a run of an older version.
        at_utc: since when; None: not known.
        reason: why, in one line.
    """

    state: State
    worker: Worker | None
    at_utc: datetime | None
    reason: str | None = None

    @property
    def text(self) -> str:
        """The state with its reason, its time, and its process, in one line."""
        told = self.worker is not None and self.worker.title in (self.reason or "")
        who = self.worker.title + (f" ({self.worker.user})" if self.worker.user else "") if self.worker else ""
        when = f"since {self.at_utc:%Y-%m-%d %H:%M} UTC" if self.at_utc else ""
        facts = ", ".join(filter(None, (when, "" if told else who)))
        return self.state + (f": {self.reason}" if self.reason else "") + (f" ({facts})" if facts else "")

    def document(self) -> dict[str, str | None]:
        """In JSON types."""
        worker = self.worker or Worker("", "", "")
        who = {"host": worker.host or None, "process": worker.process or None, "user": worker.user or None}
        since = self.at_utc.isoformat() if self.at_utc else None
        return {"state": self.state, "since_utc": since, "reason": self.reason, **who}
