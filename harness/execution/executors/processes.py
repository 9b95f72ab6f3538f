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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from harness.errors import HarnessError
from harness.events import Event, Report
from harness.execution.executors.carried import Carried, WorkerBug
from harness.execution.executors.executor import Executor, Performed, W

_POLL_S = 0.5


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
        self._processes: list[BaseProcess] = []

    def run(self, works: Sequence[W], listen: Report) -> Iterator[Performed[W]]:
        for index, work in enumerate(works):
            self._tasks.put((index, work))
        while len(self._processes) < min(self.workers, len(works)):
            process = self._context.Process(target=_serve, args=(self._tasks, self._events), daemon=True)
            with _without_main():
                process.start()
            self._processes.append(process)
        for _ in works:
            ended = self._next_end(listen)
            yield Performed(works[ended.index], _mistake(ended.error))

    def _next_end(self, listen: Report) -> _Ended:
        while True:
            try:
                message: Event | _Ended = pickle.loads(self._events.get(timeout=_POLL_S))
            except queue.Empty:
                self._check_alive()
                continue
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
            process.terminate()
        for process in self._processes:
            process.join()
        for channel in (self._tasks, self._events):
            channel.close()
            channel.cancel_join_thread()


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


def _serve(tasks: Any, events: Any) -> None:
    """A worker's loop: take an item, perform it, say how it ended. The parent ends the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def report(message: Event | _Ended) -> None:
        events.put(pickle.dumps(message))  # here, since the queue's own thread would drop what cannot be pickled

    while True:
        index, work = tasks.get()
        error: Carried | None = None
        try:
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


def _end_with_parent() -> None:
    """End this process when its parent is gone: nobody would get the results of its work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
