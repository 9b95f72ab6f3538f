"""The states of runs in the store: each is a row, and the newest counts, unless a lease says that a run is trained."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Protocol, cast

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from harness.runtime.worker import Worker, is_dead
from harness.store.database_time import database_seconds
from harness.store.models import ModelWriter, now
from harness.store.recorded import IDS_A_QUERY
from harness.store.run_state import OLDER, RunState, State
from harness.store.schema import RunRow
from harness.store.schema_work import LeaseRow, RunStateRow


class RunWithStatus(Protocol):
    """A run, as far as its state goes; see ``RunRecord``."""

    @property
    def id(self) -> int: ...

    @property
    def status(self) -> str: ...

    @property
    def failure(self) -> str | None: ...

    @property
    def finished_utc(self) -> datetime | None: ...


class RunStates(ModelWriter):
    """The base of ``Store``: the states of runs."""

    def queue(self, run_ids: Collection[int], worker: Worker) -> None:
        """Record that a process is going to train runs; those that another has ended meanwhile stay as they are."""
        with self._writing() as session:
            open_runs = set(session.scalars(select(RunRow.id).where(RunRow.status == "running")))
            rows = [_state_row(number, "queued", worker) for number in run_ids if number in open_runs]
            if rows:
                session.execute(insert(RunStateRow), rows)

    def history(self, run_id: int) -> list[RunState]:
        """All that was recorded of a run, oldest first."""
        with self._reading() as session:
            rows = session.scalars(select(RunStateRow).where(RunStateRow.run_id == run_id).order_by(RunStateRow.id))
            return [_state(row) for row in rows]

    def states(self, runs: Iterable[RunWithStatus]) -> dict[int, RunState]:
        """The state of each run now, by its number."""
        runs = list(runs)
        open_runs = {run.id for run in runs if run.status == "running"}
        newest = select(func.max(RunStateRow.id)).group_by(RunStateRow.run_id)
        if len(runs) <= IDS_A_QUERY:  # a few of ten thousand runs are soon looked up
            newest = newest.where(RunStateRow.run_id.in_([run.id for run in runs]))
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
    session.add(RunStateRow(**_state_row(run_id, state, worker, reason)))


def _state_row(run_id: int, state: State, worker: Worker, reason: str | None = None) -> dict[str, Any]:
    who = {"host": worker.host, "process": worker.process, "user_name": worker.user}
    return {"run_id": run_id, "state": state, "at_utc": now(), "reason": reason, **who}


def _state(row: RunStateRow) -> RunState:
    return RunState(cast(State, row.state), Worker(row.host, row.process, row.user_name), row.at_utc, row.reason)
