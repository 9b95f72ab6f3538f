"""Processes that hold leases, here and elsewhere, alive and dead."""

from __future__ import annotations

import subprocess
import sys

from sqlalchemy import text

from harness.runtime.worker import Worker, this_worker
from harness.store.leases import Lease
from harness.store.store import Store

HERE = this_worker()
FAR = Worker("elsewhere", "17", "ann")  # nobody here can tell whether it is alive


def taken(
    store: Store, item: str = "a", worker: Worker = HERE, seconds: float = 60, run_id: int | None = None
) -> Lease:
    lease = store.take(item, worker, seconds, run_id)
    assert isinstance(lease, Lease)
    return lease


def let_it_pass(store: Store, lease: Lease) -> None:
    """Let the lease's time be over, by the database's clock."""
    with store._engine.begin() as connection:
        connection.execute(text("UPDATE leases SET expires = expires - 1000000 WHERE id = :n"), {"n": lease.number})


def dead() -> Worker:
    """A process of this machine that has ended."""
    script = "from harness.runtime.worker import this_worker; print(this_worker().process)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return Worker("anywhere", done.stdout.strip())
