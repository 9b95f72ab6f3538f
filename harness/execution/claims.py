"""Claims: before a command does an item of work, it takes a lease on it, so that no other command does it as well."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

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
from harness.events import Ended, Noted, Report
from harness.execution.work import TrainWork, Work
from harness.runtime.stopping import asked_to_stop
from harness.runtime.worker import this_worker
from harness.store.leases import COMMAND, Held, Lease, LeaseGuard, lease_seconds
from harness.store.run_state import State
from harness.store.store import Store

W = TypeVar("W", bound=Work)
_ENDLESS_S = 1e9
_RENEWALS = 6  # in the time of a lease
_LOOK_AGAIN_S = 1.0  # at the items that others hold


class Claims:
    """The items of work that this command holds. Inside the context a thread renews their leases.

    Items that are still held at its end are given back. A run that was in training then is recorded as cancelled, as
    preempted, or as lost, by the exception that ended the work.

    Args:
        tell: receives a remark where another process holds items.
    """

    def __init__(self, store: Store, tell: Report) -> None:
        self._store, self._tell = store, tell
        # a store in memory has one connection, which two threads cannot share, and no other process
        self._seconds = _ENDLESS_S if store.place is None else lease_seconds()
        self._worker = this_worker()
        self._held: dict[str, Lease] = {}
        self._given: set[str] = set()  # items that the executor has
        self._again: list[Any] = []  # items that were lost, to be taken anew
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

    def each(self, works: Sequence[W], wanted: Callable[[W], bool]) -> Iterator[W | None]:
        """Give the items as they can be taken; None while all that is left is at work, here or elsewhere.

        It ends when all is done, or when somebody asked to stop.

        Args:
            wanted: asked of each item before and after it is taken, until it says no; False where another command did
                it meanwhile.
        """
        waiting, look_s = deque(works), 0.0
        while not self._stops and (waiting or self._given or self._again):
            self._raise_bug()
            waiting.extend(self._again)
            self._again.clear()
            if not waiting or time.monotonic() < look_s:
                yield None
                continue
            others = {held.item: held for held in self._store.held([work.key for work in waiting])}
            for _ in range(len(waiting)):
                work = waiting.popleft()
                there = others.get(work.key)
                if there is None and not wanted(work):
                    continue  # asked before, too: to take a lease, and to give it back, makes all others wait
                taken = there or self.take(work.key, _run_of(work))
                if isinstance(taken, Held):
                    self._tell_of(taken)
                    waiting.append(work)
                elif taken is not None and wanted(work):
                    self._given.add(work.key)
                    yield self._guarded(work, taken)
                    if self._stops:
                        return
                elif taken is not None:
                    self._give_back([taken], "lost", None)
                else:  # a training that another process has done
                    self._tell(Ended(work.key))
            look_s = time.monotonic() + _LOOK_AGAIN_S

    def take(self, key: str, run_id: int | None = None) -> Lease | Held | None:
        """Take one item; as ``Store.take``."""
        taken = self._store.take(key, self._worker, self._seconds, run_id)
        if isinstance(taken, Lease):
            with self._lock:
                self._held[key] = taken
        return taken

    def keep(self, key: str, write: Callable[[Lease], None]) -> bool:
        """Write a result of an item. If its lease was lost, nothing is written, and the item is taken anew.

        Returns:
            Whether it was written.
        """
        self._raise_bug()
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
            self._tell(Noted(one_line(error)))
            return False
        return True

    def _raise_bug(self) -> None:
        """Without leases that are renewed, each longer item would be done, dropped, and done again, for ever."""
        if self._bug is not None:
            raise self._bug

    @property
    def _stops(self) -> bool:
        return self._stopped is not None or asked_to_stop()

    def raise_if_stopped(self) -> None:
        """Raise Stopped if somebody asked to stop, so that items may be left."""
        if self._stops:
            raise self._stopped or Stopped("stopped")

    def ended(self, work: W, error: HarnessError | None) -> bool:
        """Whether an item that the executor has performed is done with.

        A lost one is put back, to be taken anew; of one that stopped on the way the lease is kept to the end.
        """
        self._given.discard(work.key)
        if isinstance(error, Stopped):
            self._stopped = error
            return False
        lost = work.key in self._lost or isinstance(error, LeaseLost)
        if lost:
            if error is not None and work.key not in self._lost:  # a training noticed it, before it wrote a file
                self._tell(Noted(one_line(error)))
            self._lost.discard(work.key)
            self._again.append(work)
        elif isinstance(error, WorkerLost):
            self._give_back([self._held[work.key]], "lost", str(error))
            return True
        elif not isinstance(error, TrainingFailed | PluginFault | None):
            return True  # it ends the command, and so the lease
        with self._lock:
            self._held.pop(work.key, None)
        return not lost

    def _guarded(self, work: W, lease: Lease) -> W:
        """A training asks for its lease before it writes a file; all else is written by this process."""
        place = self._store.place
        return replace(work, guard=LeaseGuard(place, lease)) if isinstance(work, TrainWork) and place else work

    def _give_back(self, leases: Sequence[Lease], state: State, reason: str | None) -> None:
        with self._lock:
            for lease in leases:
                self._held.pop(lease.item, None)
        self._store.give_back(leases, self._worker, state, reason)

    def _tell_of(self, held: Held) -> None:
        if held.worker.process not in self._told:
            self._told.add(held.worker.process)
            self._tell(
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
                self._tell(Noted(f"the leases were not renewed: {one_line(error)}"))
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
                self._give_back(list(self._held.values()), state, reason)
        except StoreError:
            if error is None:
                raise  # else the first error is the one to tell; the leases end by themselves


def _run_of(work: Work) -> int | None:
    return work.run_id if isinstance(work, TrainWork) else None


def _state_after(error: BaseException | None) -> tuple[State, str | None]:
    """What becomes of a training that was at work when an exception ended the command."""
    if isinstance(error, Stopped):
        return "preempted", one_line(error)
    if isinstance(error, KeyboardInterrupt):
        return "cancelled", "Ctrl-C"
    return "lost", None if error is None else f"the command ended: {one_line(error)}"
