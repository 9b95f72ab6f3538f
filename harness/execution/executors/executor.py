"""The seam: an executor performs work items, hands on what they report, and says how each of them ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

from harness.errors import HarnessError
from harness.events import Report
from harness.execution.work import Work

W = TypeVar("W", bound=Work)


@dataclass(frozen=True)
class Performed(Generic[W]):
    """How an item ended; ``error`` is a user's mistake or a failed training. A bug is raised instead."""

    work: W
    error: HarnessError | None


class Executor(ABC):
    """Performs work items. A context manager, so that an executor may hold processes."""

    @abstractmethod
    def run(self, works: Sequence[W], listen: Report) -> Iterator[Performed[W]]:
        """Perform the items; each item's events come to ``listen`` before its outcome is given.

        Raises:
            Exception: a bug, as its own class. Where the item ran in another process, its ``__cause__`` has that
                process's traceback.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
