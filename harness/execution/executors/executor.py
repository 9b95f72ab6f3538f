"""Executors perform work items, hand on their events, and say how each item ended: the interface, and the simplest."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from harness.errors import HarnessError
from harness.events import Report
from harness.execution.work import Work

W = TypeVar("W", bound=Work)
W_co = TypeVar("W_co", bound=Work, covariant=True)
POLL_S = 0.2


@dataclass(frozen=True)
class Performed(Generic[W]):
    """How an item ended; ``error`` is a user's mistake or a failed training. A bug is raised instead."""

    work: W
    error: HarnessError | None


class Supply(Protocol[W_co]):
    """Where an executor takes its items from, one at a time."""

    @property
    def over(self) -> bool:
        """Whether no item will come any more. While an item is at work, its outcome may bring further ones."""

    def take(self, near: str | None = None) -> W_co | None:
        """The next item; None: there is none now, ask again a little later.

        Args:
            near: ``Work.near`` of the item that the worker had before; None: nobody knows which worker will have it.
        """

    def waits(self, near: str) -> bool:
        """Whether an item like that waits."""


class Executor(ABC):
    """Performs work items. A context manager, so that an executor may hold processes."""

    workers = 1
    """How many items are performed side by side."""

    whole_machine = True
    """Whether the workers share this machine, so that an item that needs all its cores is performed alone."""

    @abstractmethod
    def run(self, works: Supply[W], listen: Report) -> Iterator[Performed[W]]:
        """Perform the items; ``listen`` gets the events of an item before its outcome is given.

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

    def run(self, works: Supply[W], listen: Report) -> Iterator[Performed[W]]:
        for work in one_by_one(works):
            try:
                work.perform(listen)
            except HarnessError as error:
                yield Performed(work, error)
            else:
                yield Performed(work, None)


def one_by_one(works: Supply[W]) -> Iterator[W]:
    """The items for a single worker, each when it can be taken."""
    near: str | None = None
    while not works.over:
        work = works.take(near)
        if work is None:
            time.sleep(POLL_S)
        else:
            near = work.near
            yield work
