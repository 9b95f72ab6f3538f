"""The seam: an executor performs work items and hands on their events. Here: this process, or several."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import torch

from harness.errors import HarnessError
from harness.events import Event, Report
from harness.execution.work import Work

_POLL_S = 0.5

W = TypeVar("W", bound=Work)


@dataclass(frozen=True)
class Performed(Generic[W]):
    """How an item ended; ``error`` is a user's mistake or a failed training. A bug is raised instead."""

    work: W
    error: HarnessError | None


class WorkerBug(RuntimeError):
    """A bug in another process, with that process's traceback."""


class Executor(ABC):
    """Performs work items. A context manager, so that an executor may hold processes."""

    @abstractmethod
    def run(self, works: Sequence[W], listen: Report) -> Iterator[Performed[W]]:
        """Perform the items; each item's events come to ``listen`` before its outcome is given."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class InProcess(Executor):
    """One item after the other, in this process: for one worker, and for a CUDA device."""

    def run(self, works: Sequence[W], listen: Report) -> Iterator[Performed[W]]:
        for work in works:
            try:
                work.perform(listen)
            except HarnessError as error:
                yield Performed(work, error)
            else:
                yield Performed(work, None)


@dataclass(frozen=True)
class _Ended:
    """A worker's last word on an item: fine, a user's mistake, or a bug's traceback."""

    index: int
    error: HarnessError | str | None


class Processes(Executor):
    """Several processes on this machine, started at the first item and kept until the end.

    Each item's events and its end come through one queue, in order.
    """

    def __init__(self, workers: int) -> None:
        self._context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        self._wanted = workers
        self._tasks: Any = self._context.Queue()
        self._events: Any = self._context.Queue()
        self._processes: list[BaseProcess] = []

    def run(self, works: Sequence[W], listen: Report) -> Iterator[Performed[W]]:
        for index, work in enumerate(works):
            self._tasks.put((index, work))
        while len(self._processes) < min(self._wanted, len(works)):
            process = self._context.Process(target=_serve, args=(self._tasks, self._events), daemon=True)
            process.start()
            self._processes.append(process)
        for _ in works:
            ended = self._next_end(listen)
            if isinstance(ended.error, str):
                raise WorkerBug(ended.error)
            yield Performed(works[ended.index], ended.error)

    def _next_end(self, listen: Report) -> _Ended:
        while True:
            try:
                message: Event | _Ended = self._events.get(timeout=_POLL_S)
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
        for channel in (self._tasks, self._events):
            channel.close()
            channel.cancel_join_thread()


def executor_for(items: int, workers: int, device: torch.device) -> Executor:
    """Several processes where there are several items for them, on the CPU; else this one."""
    parallel = workers > 1 and items > 1 and device.type == "cpu"
    return Processes(workers) if parallel else InProcess()


def _serve(tasks: Any, events: Any) -> None:
    """A worker's life: take an item, perform it, say how it ended. The parent ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        index, work = tasks.get()
        try:
            work.perform(events.put)
        except HarnessError as error:
            events.put(_Ended(index, error))
        except Exception:
            events.put(_Ended(index, traceback.format_exc()))
        else:
            events.put(_Ended(index, None))


def _end_with_parent() -> None:
    """End this process when its parent is gone, killed perhaps: nobody would hear the results of its hours of work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
