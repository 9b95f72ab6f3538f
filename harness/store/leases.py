"""Leases: an item of work belongs to one process at a time, until it is done, given back, or its time is over.

A lease has a fencing number, which grows with every lease that is given. A write that names a lease happens only while
that lease is held: a process that was frozen past its lease, and wakes, writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from harness.errors import HarnessError, LeaseLost, StoreError
from harness.runtime.worker import Worker, is_dead
from harness.store import database
from harness.store.connecting import engine_on
from harness.store.database_time import database_seconds
from harness.store.models import now
from harness.store.recorded import IDS_A_QUERY
from harness.store.run_state import State
from harness.store.run_states import RunStates, add_state
from harness.store.schema import RunRow
from harness.store.schema_work import LeaseRow

VARIABLE = "HARNESS_LEASE_S"
DEFAULT_S = 120.0
COMMAND = "command "
"""How the item of a command as such begins, which it holds while its runs are queued."""


def lease_seconds() -> float:
    """For how long a lease is given: ``HARNESS_LEASE_S``, else two minutes. It is renewed six times in that time.

    Raises:
        HarnessError: the variable is no number from 1 to 86,400.
    """
    text = os.environ.get(VARIABLE) or str(DEFAULT_S)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86_400:
        raise HarnessError(f"{VARIABLE}={text[:20]!r} is refused: it is a number of seconds from 1 to 86400")
    return seconds


@dataclass(frozen=True)
class Lease:
    """An item of work that this process holds.

    Attributes:
        item: the work's key.
        number: the fencing number.
        run_id: of a training.
    """

    item: str
    number: int
    run_id: int | None = None


@dataclass(frozen=True)
class Held:
    """An item of work that a process holds, since when."""

    item: str
    worker: Worker
    since_utc: datetime
    run_id: int | None

    @property
    def is_command(self) -> bool:
        """Whether the item is a command as such."""
        return self.item.startswith(COMMAND)

    def document(self) -> dict[str, str | None]:
        """In JSON types."""
        who = {"host": self.worker.host, "process": self.worker.process, "user": self.worker.user or None}
        return {"item": self.item, "since_utc": self.since_utc.isoformat(), **who}


class Leases(RunStates):
    """The base of ``Store``: who holds which item of work."""

    def take(self, item: str, worker: Worker, seconds: float, run_id: int | None = None) -> Lease | Held | None:
        """Take an item for so long; or say who holds it; None: it is a training that is done, or has failed.

        An item whose time is over, or whose process has ended for certain, is taken over. If it is a training, the run
        is recorded as lost by that process before it is recorded as running.

        Args:
            run_id: of a training.
        """
        with self._writing() as session:
            row = session.scalar(select(LeaseRow).where(LeaseRow.item == item))
            # what killed commands held, and nobody asks for again; that of a training stays: it says who lost the run
            session.execute(
                delete(LeaseRow).where(
                    LeaseRow.item != item, LeaseRow.run_id.is_(None), LeaseRow.expires <= database_seconds()
                )
            )
            if row is not None:
                held = _held(row)
                clock = session.scalar(select(database_seconds())) or 0.0
                if row.expires > clock and not is_dead(held.worker):
                    return held
                if run_id is not None:
                    over = "ended without a word" if is_dead(held.worker) else "was not heard of any more"
                    add_state(session, run_id, "lost", held.worker, f"{held.worker.title} {over}")
                session.delete(row)
                session.flush()
            if run_id is not None and session.scalar(select(RunRow.status).where(RunRow.id == run_id)) != "running":
                return None
            facts = {"host": worker.host, "process": worker.process, "user_name": worker.user, "taken_utc": now()}
            lease = LeaseRow(item=item, run_id=run_id, expires=database_seconds() + seconds, **facts)
            session.add(lease)
            if run_id is not None:
                add_state(session, run_id, "running", worker)
            session.flush()
            return Lease(item, lease.id, run_id)

    def renew(self, leases: Iterable[Lease], seconds: float) -> None:
        """Prolong leases. One whose time is over is not prolonged: another process may take its item at any moment."""
        numbers = [lease.number for lease in leases]
        with self._writing() as session:
            mine = LeaseRow.id.in_(numbers), LeaseRow.expires > database_seconds()
            session.execute(update(LeaseRow).where(*mine).values(expires=database_seconds() + seconds))

    def give_back(self, leases: Collection[Lease], worker: Worker, state: State, reason: str | None) -> None:
        """Give up items. A run whose training is given up gets the state, if the lease was still there."""
        with self._writing() as session:
            for lease in leases:
                gone = session.execute(delete(LeaseRow).where(LeaseRow.id == lease.number)).rowcount  # type: ignore[attr-defined]
                if gone and lease.run_id is not None:
                    add_state(session, lease.run_id, state, worker, reason)

    def held(self, items: Sequence[str]) -> list[Held]:
        """The items of these that a process holds which may still be there."""
        found: list[Held] = []
        with self._reading() as session:
            for start in range(0, len(items), IDS_A_QUERY):
                some = LeaseRow.item.in_(items[start : start + IDS_A_QUERY])
                rows = session.scalars(select(LeaseRow).where(some, LeaseRow.expires > database_seconds()))
                found += [_held(row) for row in rows]
        return [one for one in found if not is_dead(one.worker)]

    def at_work(self, *, commands: bool = False) -> list[Held]:
        """Every item that a process holds which may still be there, in the order in which they were taken.

        Args:
            commands: also the items of commands as such, each of which has runs queued, or had.
        """
        live = select(LeaseRow).where(LeaseRow.expires > database_seconds())
        live = live if commands else live.where(LeaseRow.item.not_like(f"{COMMAND}%"))
        with self._reading() as session:
            found = [_held(row) for row in session.scalars(live.order_by(LeaseRow.id))]
        return [one for one in found if not is_dead(one.worker)]


def require(session: Session, lease: Lease | None, *, ends: bool = False) -> None:
    """Check that a lease is held, if there is one.

    Args:
        ends: give the lease back in the same transaction, since the work is done.
    Raises:
        LeaseLost: its time is over, or another process has taken the item.
    """
    if lease is None:
        return
    row = session.scalar(select(LeaseRow).where(LeaseRow.id == lease.number, LeaseRow.expires > database_seconds()))
    if row is None:
        raise LeaseLost(lease.item)
    if ends:
        session.delete(row)


def refuse_trained_now(session: Session, run_id: int) -> None:
    """Raise StoreError if a process trains the run, on this machine or another."""
    mine = LeaseRow.run_id == run_id, LeaseRow.expires > database_seconds()
    held = next(
        (one for one in map(_held, session.scalars(select(LeaseRow).where(*mine))) if not is_dead(one.worker)), None
    )
    if held is not None:
        raise StoreError(
            f"run {run_id} is trained by {held.worker.title} since {held.since_utc:%H:%M} UTC: stop that first, or wait"
        )


@dataclass(frozen=True)
class LeaseGuard:
    """Asks, in a process that has no store open, whether a lease is still held. Plain data.

    Args:
        place: the database's URL, which may have a password.
    """

    place: str = field(repr=False)
    lease: Lease

    def __call__(self) -> None:
        """Raise LeaseLost unless the lease is held; StoreError if the database does not answer."""
        url = database.locate(self.place)
        engine = engine_on(url, database.shown(url), file=database.sqlite_file(url), read_only=True)
        try:
            with Session(engine) as session:
                require(session, self.lease)
        finally:
            engine.dispose()


def _held(row: LeaseRow) -> Held:
    return Held(row.item, Worker(row.host, row.process, row.user_name), row.taken_utc, row.run_id)
