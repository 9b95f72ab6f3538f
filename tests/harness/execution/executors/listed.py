"""Items for an executor, listed beforehand or as a generator gives them, in place of a command's claims."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic

from harness.execution.executors.executor import W


class Listed(Generic[W]):
    """Gives the items in their order, whichever worker asks; None: there is none now."""

    def __init__(self, works: Iterable[W | None]) -> None:
        self._works, self.over = iter(works), False

    def take(self, near: str | None = None) -> W | None:
        """The next item."""
        try:
            return None if self.over else next(self._works)
        except StopIteration:
            self.over = True
            return None

    def waits(self, near: str) -> bool:
        """Nobody knows what a generator gives next."""
        return False
