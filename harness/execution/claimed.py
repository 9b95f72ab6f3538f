"""The items of a command, as it can claim them: each is given to one worker, of this command or of another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Generic

from harness.errors import HarnessError
from harness.events import Ended
from harness.execution.claims import Claims
from harness.execution.executors.executor import W
from harness.execution.waiting import Waiting
from harness.store.leases import Held

_LOOK_AGAIN_S = 1.0  # at the items that others hold


class Claimed(Generic[W]):
    """The items of a command, for an executor to take; a ``Supply``.

    An item is given once it has a lease. What another command holds waits until it is given back, or is done there.

    Args:
        wanted: asked of each item before and after it is taken, until it says no; False where another command did it
            meanwhile.
        done_elsewhere: told of each training that another command has ended.
        singly: whether an item is given only while none is at work.
    """

    def __init__(
        self,
        claims: Claims,
        wanted: Callable[[W], bool] = lambda _work: True,
        done_elsewhere: Callable[[W], None] = lambda _work: None,
        *,
        singly: bool = False,
    ) -> None:
        self._claims, self._wanted, self._done_elsewhere = claims, wanted, done_elsewhere
        self._singly, self._waiting = singly, Waiting[W]()
        self._given: dict[str, W] = {}  # what the executor has, by key
        self._elsewhere: list[W] = []  # what other commands hold
        self._look_s = 0.0

    def add(self, works: Iterable[W]) -> None:
        """Add items that are to be done."""
        self._waiting.add(works)

    def drop(self, unwanted: Callable[[W], bool]) -> list[W]:
        """Leave out what waits and is unwanted, and all that other commands hold; give what is left out."""
        elsewhere, self._elsewhere = self._elsewhere, []
        return [*self._waiting.keep(lambda work: not unwanted(work)), *elsewhere]

    @property
    def left_here(self) -> bool:
        """Whether an item waits, or is at work here."""
        return bool(self._waiting or self._given)

    def any_here(self, kind: Callable[[W], bool]) -> bool:
        """Whether an item of a kind waits, or is at work here."""
        return any(map(kind, self._given.values())) or any(map(kind, self._waiting))

    @property
    def over(self) -> bool:
        """Whether all is done, or somebody asked to stop."""
        return self._claims.stops or not (self.left_here or self._elsewhere)

    def take(self, near: str | None = None) -> W | None:
        """The next item that could be claimed; None while all that is left is at work, here or elsewhere."""
        self._claims.raise_bug()
        if self._elsewhere and time.monotonic() >= self._look_s:
            self._look_again()
        while self._waiting and not (self._claims.stops or (self._singly and self._given)):
            work = self._waiting.pop(near, {one.near for one in self._given.values()})
            if not self._wanted(work):
                continue  # asked before, too: to take a lease, and to give it back, makes all others wait
            taken = self._claims.take_of(work)
            if isinstance(taken, Held):
                self._claims.tell_of(taken)
                if not self._elsewhere:
                    self._look_s = time.monotonic() + _LOOK_AGAIN_S
                self._elsewhere.append(work)
            elif taken is None:
                self._claims.tell(Ended(work.key))
                self._done_elsewhere(work)
            elif self._wanted(work):
                self._given[work.key] = work
                return self._claims.guarded(work, taken)
            else:
                self._claims.give_back([taken], "lost", None)
        return None

    def waits(self, near: str) -> bool:
        """Whether an item like that waits."""
        return self._waiting.has(near)

    def ended(self, work: W, error: HarnessError | None) -> bool:
        """Whether an item that the executor has performed is done with.

        A lost one waits again; of one that stopped on the way the lease is kept to the end.
        """
        del self._given[work.key]
        end = self._claims.ended(work, error)
        if end == "lost":
            self._waiting.put_back([work])
        return end == "done"

    def _look_again(self) -> None:
        """Have items that others held wait for their turn, once they are free."""
        held = {one.item for one in self._claims.held([work.key for work in self._elsewhere])}
        self._waiting.put_back(work for work in self._elsewhere if work.key not in held)
        self._elsewhere = [work for work in self._elsewhere if work.key in held]
        self._look_s = time.monotonic() + _LOOK_AGAIN_S


class Here(Generic[W]):
    """What can be done of a command's items before others give back what they hold; a ``Supply``."""

    def __init__(self, claimed: Claimed[W]) -> None:
        self._claimed = claimed
        self.take, self.waits = claimed.take, claimed.waits

    @property
    def over(self) -> bool:
        """Whether all that is left is held elsewhere."""
        return self._claimed.over or not self._claimed.left_here
