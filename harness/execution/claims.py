"""Claims: before a command does an item of work, it takes a lease on it, so that no other command does it as well."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Literal, Self, TypeVar

from harness.errors import (
    HarnessError,
    LeaseLost,
    PluginFault,
    Stopped,
    StoreError,
    TrainingFailed,
    WorkerLost,
    one_line,
)
from harness.events import Noted, Report
from harness.execution.work import TrainWork, Work
from harness.runtime.stopping import asked_to_stop
from harness.runtime.worker import this_worker
from harness.store.leases import COMMAND, Held, Lease, LeaseGuard, lease_seconds
from harness.store.run_state import State
from harness.store.store import Store

W = TypeVar("W", bound=Work)
_ENDLESS_S = 1e9
_RENEWALS = 6  # in the time of a lease

End = Literal["done", "lost", "stopped"]
"""What has become of an item; a lost one is to be taken anew."""


class Claims:
    """The items of work that this command holds. Inside the context a thread renews their leases.

    Items that are still held at its end are given back. A run that was in training then is recorded as cancelled, as
    preempted, or as lost, by the exception that ended the work.

    Args:
        tell: receives a remark where another process holds items.
    Attributes:
        stops: whether no further item is to begin: somebody asked to stop.
    """

    def __init__(self, store: Store, tell: Report) -> None:
        self._store, self.tell = store, tell
        # a store in memory has one connection, which two threads cannot share, and no other process
        self._seconds = _ENDLESS_S if store.place is None else lease_seconds()
        self._worker = this_worker()
        self._held: dict[str, Lease] = {}
        self._lost: set[str] = set()
        self._told: set[str] = set()
        self._bug: Exception | None = None  # what ended the thread that renews
        self._stopped: Stopped | None = None  # what an item ended with that stopped on the way
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._renew_on, name="leases", daemon=True)

    def queue(self, run_ids: Sequence[int]) -> None:
        """Record that this command is going to train runs."""
        if run_ids:
            self.take(f"{COMMAND}{secrets.token_hex(8)}")  # the runs are queued while this lease is held
            self._store.queue(run_ids, self._worker)

    def take(self, key: str, run_id: int | None = None) -> Lease | Held | None:
        """Take one item; as ``Store.take``."""
        taken = self._store.take(key, self._worker, self._seconds, run_id)
        if isinstance(taken, Lease):
            with self._lock:
                self._held[key] = taken
        return taken

    def take_of(self, work: Work) -> Lease | Held | None:
        """Take an item of work."""
        return self.take(work.key, work.run_id if isinstance(work, TrainWork) else None)

    def held(self, keys: Sequence[str]) -> list[Held]:
        """Which of the items somebody holds, and who."""
        return self._store.held(keys)

    def keep(self, key: str, write: Callable[[Lease], None]) -> bool:
        """Write a result of an item. If its lease was lost, nothing is written, and the item is taken anew.

        Returns:
            Whether it was written.
        """
        self.raise_bug()
        try:
            if key in self._lost:
                return False
            with self._lock:
                lease = self._held.get(key)
            if lease is None:
                raise LeaseLost(key)
            write(lease)
        except LeaseLost as error:
            self._lost.add(key)
            self.tell(Noted(one_line(error)))
            return False
        return True

    def raise_bug(self) -> None:
        """Without leases that are renewed, each longer item would be done, dropped, and done again, for ever."""
        if self._bug is not None:
            raise self._bug

    @property
    def stops(self) -> bool:
        return self._stopped is not None or asked_to_stop()

    def raise_if_stopped(self) -> None:
        """Raise Stopped if somebody asked to stop, so that items may be left."""
        if self.stops:
            raise self._stopped or Stopped("stopped")

    def ended(self, work: Work, error: HarnessError | None) -> End:
        """What has become of an item that the executor has performed.

        The lease is kept of an item that stopped on the way, and of one whose error ends the command.
        """
        if isinstance(error, Stopped):
            self._stopped = error
            return "stopped"
        lost = work.key in self._lost or isinstance(error, LeaseLost)
        if lost:
            if error is not None and work.key not in self._lost:  # a training noticed it, before it wrote a file
                self.tell(Noted(one_line(error)))
            self._lost.discard(work.key)
        elif isinstance(error, WorkerLost):
            self.give_back([self._held[work.key]], "lost", str(error))
            return "done"
        elif not isinstance(error, TrainingFailed | PluginFault | None):
            return "done"
        with self._lock:
            self._held.pop(work.key, None)
        return "lost" if lost else "done"

    def guarded(self, work: W, lease: Lease) -> W:
        """A training asks for its lease before it writes a file; all else is written by this process."""
        place = self._store.place
        return replace(work, guard=LeaseGuard(place, lease)) if isinstance(work, TrainWork) and place else work

    def give_back(self, leases: Sequence[Lease], state: State, reason: str | None) -> None:
        """Give items back; the runs among them are recorded in that state."""
        with self._lock:
            for lease in leases:
                self._held.pop(lease.item, None)
        self._store.give_back(leases, self._worker, state, reason)

    def tell_of(self, held: Held) -> None:
        """Say once who holds items."""
        if held.worker.process not in self._told:
            self._told.add(held.worker.process)
            self.tell(
                Noted(
                    f"{held.worker.title} has {held.item} at work since {held.since_utc:%H:%M} UTC, and perhaps more:"
                    " this command does the rest, and waits for what is held"
                )
            )

    def _renew_on(self) -> None:
        while not self._over.wait(self._seconds / _RENEWALS):
            with self._lock:
                leases = list(self._held.values())
            try:
                if leases:
                    self._store.renew(leases, self._seconds)
            except StoreError as error:  # such as a locked database: the next turn may come in time
                self.tell(Noted(f"the leases were not renewed: {one_line(error)}"))
            except Exception as error:
                self._bug = error
                return

    def __enter__(self) -> Self:
        if self._store.place is not None:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        state, reason = _state_after(error)
        try:
            if self._held:
                self.give_back(list(self._held.values()), state, reason)
        except StoreError:
            if error is None:
                raise  # else the first error is the one to tell; the leases end by themselves


def _state_after(error: BaseException | None) -> tuple[State, str | None]:
    """What becomes of a training that was at work when an exception ended the command."""
    if isinstance(error, Stopped):
        return "preempted", one_line(error)
    if isinstance(error, KeyboardInterrupt):
        return "cancelled", "Ctrl-C"
    return "lost", None if error is None else f"the command ended: {one_line(error)}"
