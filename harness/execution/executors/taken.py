"""Items that an executor has taken for its workers: which worker performs which, and one spare item."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from typing import Generic

from harness.execution.executors.executor import Supply, W


class Taken(Generic[W]):
    """The items that an executor has taken, by number.

    A worker takes an item like its last one, if one waits: what it learned serves there. One item is taken before a
    worker is free, so that the first that is free soon has its next.

    Attributes:
        items: all that are at work, or are to be given to a worker.
    """

    def __init__(self, works: Supply[W]) -> None:
        self._works = works
        self.items: dict[int, W] = {}
        self._numbers = itertools.count()
        self._again = deque[int]()  # whose worker has died
        self._spare: int | None = None

    @property
    def over(self) -> bool:
        """Whether all is performed, and no item will come any more."""
        return self._works.over and not self.items

    def next_for(self, near: str | None, at_work: Sequence[str]) -> int | None:
        """The number of the item that a worker performs next; None: there is none now.

        Args:
            near: ``Work.near`` of the worker's last item; None: it had none.
            at_work: that of the items of all other workers.
        """
        if self._again:
            return self._again.popleft()
        spare = self._spare
        kind = self.items[spare].near if spare is not None else None
        if spare is None or (kind != near and kind in at_work):  # the spare item is for another worker
            number = self._take(near)
            if number is not None or spare is None:
                return number
        self._spare = None
        return spare

    def take_spare(self, at_work: Sequence[str]) -> None:
        """Take an item before a worker is free: one like the first of those at work that has its like waiting."""
        if self._spare is None:
            self._spare = self._take(next(filter(self._works.waits, at_work), None))

    def do_again(self, number: int) -> None:
        """Have an item performed once more, before all others."""
        self._again.append(number)

    def _take(self, near: str | None) -> int | None:
        work = self._works.take(near)
        if work is None:
            return None
        number = next(self._numbers)
        self.items[number] = work
        return number
