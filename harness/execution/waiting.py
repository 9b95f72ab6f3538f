"""Items that wait for a worker, and which of them a worker takes next."""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any, Generic, TypeVar

W = TypeVar("W", bound=Any)


class Waiting(Generic[W]):
    """Items in their order, grouped by ``Work.near``; before them those that come back, such as after a lost lease."""

    def __init__(self) -> None:
        self._back = deque[W]()
        self._groups: OrderedDict[str, deque[W]] = OrderedDict()  # as a plain one is slow to find its first key anew

    def add(self, works: Iterable[W]) -> None:
        """Add items behind all that are like them."""
        for work in works:
            self._groups.setdefault(work.near, deque()).append(work)

    def put_back(self, works: Iterable[W]) -> None:
        """Add items whose turn was before."""
        self._back.extend(works)

    def has(self, near: str) -> bool:
        """Whether an item like that waits in its order."""
        return near in self._groups

    def pop(self, near: str | None, at_work: Container[str]) -> W:
        """Take the item that a worker does best.

        That is one that has come back. Else one like the item that it had. Else the first that is like none at work, so
        that a worker who is at its like may go on with it. Else one of the most numerous.

        Args:
            near: of the item that the worker had; None: it had none.
            at_work: ``near`` of all items at work.
        """
        if self._back:
            return self._back.popleft()
        groups = self._groups
        if near is None or near not in groups:
            near = next((name for name in groups if name not in at_work), None)
        if near is None:
            near = max(groups, key=lambda name: len(groups[name]))
        work = groups[near].popleft()
        if not groups[near]:
            del groups[near]
        return work

    def keep(self, wanted: Callable[[W], bool]) -> list[W]:
        """Leave out all items that are not wanted, and give them."""
        works = list(self)
        self._back.clear()
        self._groups.clear()
        self.add(work for work in works if wanted(work))
        return [work for work in works if not wanted(work)]

    def __iter__(self) -> Iterator[W]:
        return itertools.chain(self._back, *self._groups.values())

    def __bool__(self) -> bool:
        return bool(self._back or self._groups)
