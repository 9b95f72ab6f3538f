"""Several processes on this machine, which perform items side by side."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from harness.errors import HarnessError, Stopped
from harness.events import Event, Report
from harness.execution.executors.carried import Carried, WorkerBug
from harness.execution.executors.executor import POLL_S, Executor, Performed, W
from harness.runtime.stopping import ask_to_stop, asked_to_stop

# Ctrl-C in a terminal, and what a scheduler sends, goes to the whole group of processes; the parent decides
_GROUP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name)]


@dataclass(frozen=True)
class _Ended:
    """A worker's last message about an item: no error, or the exception that ended it."""

    index: int
    error: Carried | None


class Processes(Executor):
    """Started at the first item and kept until the end.

    Each item's events and its end come through one queue, in order.
    """

    def __init__(self, workers: int) -> None:
        self._context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self.workers = workers
        self._tasks: Any = self._context.Queue()
        self._events: Any = self._context.Queue()
        # A pipe whose byte nobody takes, so that all see it. An Event's ``set`` waits for each process that waits for
        # it, so for ever if one of them was killed meanwhile, or stands still.
        self._stop_seen, self._stop = self._context.Pipe(duplex=False)
        self._told_to_stop = False
        self._processes: list[BaseProcess] = []
        self._next_index = 0

    def run(self, works: Iterable[W | None], listen: Report) -> Iterator[Performed[W]]:
        asked, at_work, more = iter(works), dict[int, W](), True
        while more or at_work:
            while more and len(at_work) <= self.workers:  # one more than work, so that none waits for this process
                try:
                    work = next(asked)
                except StopIteration:
                    more = False
                    break
                if work is None:
                    break
                self._put(work, at_work)
            ended = self._next_end(listen)
            if ended is not None:
                yield Performed(at_work.pop(ended.index), _mistake(ended.error))

    def _put(self, work: W, at_work: dict[int, W]) -> None:
        """Give an item to the workers, of whom there are as many as items, at most."""
        index, self._next_index = self._next_index, self._next_index + 1
        at_work[index] = work
        self._tasks.put((index, work))
        if len(self._processes) < min(self.workers, len(at_work)):
            process = self._context.Process(
                target=_serve, args=(self._tasks, self._events, self._stop_seen), daemon=True
            )
            with _without_main(), _signals_held():
                process.start()
            self._processes.append(process)

    def _next_end(self, listen: Report) -> _Ended | None:
        """Hand on events up to the next end of an item; None: nothing came for a while."""
        while True:
            if asked_to_stop() and not self._told_to_stop:
                self._told_to_stop = True
                self._stop.send_bytes(b"!")
            try:
                message: Event | _Ended = pickle.loads(self._events.get(timeout=POLL_S))
            except queue.Empty:
                self._check_alive()
                return None
            if isinstance(message, _Ended):
                return message
            listen(message)

    def _check_alive(self) -> None:
        for process in self._processes:
            if not process.is_alive():
                raise HarnessError(
                    f"a worker process ended with exit code {process.exitcode} (-9 often means: out of memory);"
                    " what was done is kept: run the command again, with fewer --workers"
                )

    def __exit__(self, *exception: object) -> None:
        for process in self._processes:
            process.kill()  # a worker ignores SIGTERM
        for process in self._processes:
            process.join()
        for channel in (self._tasks, self._events):
            channel.close()
            channel.cancel_join_thread()
        self._stop_seen.close()
        self._stop.close()


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Inside, a process that is started does not import the main module of this one.

    No worker needs it. A user's script that calls ``harness.run`` at its top level would run again in each worker.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Inside, signals to the whole group wait: a process that is started does not ignore them from its first moment."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _GROUP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(tasks: Any, events: Any, stop: Any) -> None:
    """A worker's loop: take an item, perform it, say how it ended. The parent ends the worker."""
    for number in _GROUP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _GROUP_SIGNALS)
    threading.Thread(target=_stop_with_parent, args=(stop,), daemon=True).start()
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def report(message: Event | _Ended) -> None:
        events.put(pickle.dumps(message))  # here, since the queue's own thread would drop what cannot be pickled

    while True:
        index, work = tasks.get()
        error: Carried | None = None
        try:
            if asked_to_stop():  # the item was put into the queue before
                raise Stopped("stopped before it began")
            work.perform(report)
        except Exception as raised:
            error = Carried.of(raised)
        report(_Ended(index, error))


def _mistake(carried: Carried | None) -> HarnessError | None:
    """The user's mistake that ended an item, if one did; a bug is raised."""
    if carried is None:
        return None
    error = carried.exception()
    if isinstance(error, HarnessError):
        return error
    raise error from WorkerBug(carried.trace)


def _stop_with_parent(stop: Any) -> None:
    """Stop the work of this process when the parent was asked to stop, or is gone."""
    stop.poll(None)
    ask_to_stop()


def _end_with_parent() -> None:
    """End this process when its parent is gone: nobody would get the results of its work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
