"""What became of a run: queued, running, done, failed, cancelled, lost, or preempted; who, when, where, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from harness.runtime.worker import Worker, is_dead
from harness.store.database_time import database_seconds
from harness.store.models import ModelWriter, now
from harness.store.records import RunRecord
from harness.store.schema_work import LeaseRow, RunStateRow

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


class RunStates(ModelWriter):
    """The base of ``Store``: the states of runs."""

    def queue(self, run_ids: Collection[int], worker: Worker) -> None:
        """Record that a process is going to train runs."""
        with self._writing() as session:
            for number in run_ids:
                add_state(session, number, "queued", worker)

    def history(self, run_id: int) -> list[RunState]:
        """All that was recorded of a run, oldest first."""
        with self._reading() as session:
            rows = session.scalars(select(RunStateRow).where(RunStateRow.run_id == run_id).order_by(RunStateRow.id))
            return [_state(row) for row in rows]

    def states(self, runs: Iterable[RunRecord]) -> dict[int, RunState]:
        """The state of each run now, by its number."""
        runs = list(runs)
        open_runs = {run.id for run in runs if run.status == "running"}
        newest = select(func.max(RunStateRow.id)).group_by(RunStateRow.run_id)
        with self._reading() as session:
            rows = session.scalars(select(RunStateRow).where(RunStateRow.id.in_(newest)))
            told = {row.run_id: _state(row) for row in rows}
            live = session.scalars(select(LeaseRow).where(LeaseRow.expires > database_seconds()))
            held = [(row.run_id, Worker(row.host, row.process, row.user_name), row.taken_utc) for row in live]
        held = [(number, worker, since) for number, worker, since in held if not is_dead(worker)]
        at_work = {worker for _, worker, _ in held}
        training = {number: RunState("running", worker, since) for number, worker, since in held if number is not None}
        found = {}
        for run in runs:
            known = told.get(run.id)
            if run.id not in open_runs:
                worker = known.worker if known is not None and known.state == run.status else None
                found[run.id] = RunState(cast(State, run.status), worker, run.finished_utc, run.failure)
            elif run.id in training:
                found[run.id] = training[run.id]
            elif known is None:
                found[run.id] = RunState("lost", None, None, OLDER)
            else:
                found[run.id] = _without_lease(known, at_work)
        return found


def _without_lease(known: RunState, at_work: Collection[Worker]) -> RunState:
    """The state of a run that is not done, and that nobody trains at this moment."""
    if (
        known.worker is None
        or known.state not in ("queued", "running")
        or (known.state == "queued" and known.worker in at_work)
    ):
        return known
    return RunState("lost", known.worker, known.at_utc, f"{known.worker.title} ended without a word")


def add_state(session: Session, run_id: int, state: State, worker: Worker, reason: str | None = None) -> None:
    """Record what became of a run."""
    who = {"host": worker.host, "process": worker.process, "user_name": worker.user}
    session.add(RunStateRow(run_id=run_id, state=state, at_utc=now(), reason=reason, **who))


def _state(row: RunStateRow) -> RunState:
    return RunState(cast(State, row.state), Worker(row.host, row.process, row.user_name), row.at_utc, row.reason)
