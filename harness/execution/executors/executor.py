"""Executors perform work items, hand on their events, and say how each item ended: the interface, and the simplest."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from harness.errors import HarnessError
from harness.events import Report
from harness.execution.work import Work

W = TypeVar("W", bound=Work)
POLL_S = 0.2


@dataclass(frozen=True)
class Performed(Generic[W]):
    """How an item ended; ``error`` is a user's mistake or a failed training. A bug is raised instead."""

    work: W
    error: HarnessError | None


class Supply(Generic[W]):
    """The items that an executor is given, taken one at a time.

    Attributes:
        over: whether none will come any more.
    """

    def __init__(self, works: Iterable[W | None]) -> None:
        self._works, self.over = iter(works), False

    def take(self) -> W | None:
        """The next item; None: there is none now, or none any more."""
        try:
            return None if self.over else next(self._works)
        except StopIteration:
            self.over = True
            return None


class Executor(ABC):
    """Performs work items. A context manager, so that an executor may hold processes."""

    workers = 1
    """How many items are performed side by side."""

    whole_machine = True
    """Whether the workers share this machine, so that an item that needs all its cores is performed alone."""

    @abstractmethod
    def run(self, works: Iterable[W | None], listen: Report) -> Iterator[Performed[W]]:
        """Perform the items; ``listen`` gets the events of an item before its outcome is given.

        Args:
            works: asked for an item when there is a worker for it; None: there is none now, ask again a little later.
        Raises:
            Exception: a bug, in its own class. If the item ran in another process, ``__cause__`` has that process's
                traceback.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return None


class InProcess(Executor):
    """One item after the other, in this process: for one worker, and for a CUDA device."""

    def run(self, works: Iterable[W | None], listen: Report) -> Iterator[Performed[W]]:
        for work in works:
            if work is None:
                time.sleep(POLL_S)
                continue
            try:
                work.perform(listen)
            except HarnessError as error:
                yield Performed(work, error)
            else:
                yield Performed(work, None)
