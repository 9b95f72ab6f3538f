"""The tables of work that goes on: who holds which item, and what became of each attempt at a run."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from harness.store.schema_base import NUMBERED_ONCE, Base


class LeaseRow(Base):
    """An item of work that a process holds until a time. A row that is gone was given back, or taken by another."""

    __tablename__ = "leases"
    __table_args__ = (NUMBERED_ONCE,)

    id: Mapped[int] = mapped_column(primary_key=True)  # the fencing number: a later holder has a larger one
    item: Mapped[str] = mapped_column(unique=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))  # of a training
    host: Mapped[str]
    process: Mapped[str]
    user_name: Mapped[str]
    taken_utc: Mapped[datetime]
    expires: Mapped[float]  # seconds since 1970, by the database's own clock


class RunStateRow(Base):
    """What became of a run, when, where, and why; the newest row counts, unless a lease says that it is trained now."""

    __tablename__ = "run_states"
    __table_args__ = (
        CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'lost', 'preempted')", name="state_known"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    state: Mapped[str]
    at_utc: Mapped[datetime]
    host: Mapped[str]
    process: Mapped[str]
    user_name: Mapped[str]
    reason: Mapped[str | None]
