"""How far a command's work is: what runs now, for how long, and the time left."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.events import Began, Ended, Event, Planned, PlannedItem, Replanned, TrainingProgress, training_key


@dataclass(frozen=True)
class Running:
    """An item at work."""

    item: PlannedItem
    since_s: float  # on the clock of the caller
    told: TrainingProgress | None = None  # what a training said last
    told_s: float = 0.0


@dataclass(frozen=True)
class Left:
    """The time left.

    Attributes:
        at_most: whether it follows from the most passes that attacks take.
        late: whether an item takes longer than expected, so that nobody knows when it ends.
    """

    seconds: float
    at_most: bool
    late: bool = False


class Outlook:
    """Follows the events of a command. Time is what the caller says it is, in seconds."""

    def __init__(self) -> None:
        self._phases: list[tuple[dict[str, PlannedItem], int]] = []  # by key; and how many workers take them
        self._items: dict[str, PlannedItem] = {}
        self._ended: set[str] = set()
        self._running: dict[str, Running] = {}
        self._took: dict[str, tuple[float, int]] = {}  # by ``PlannedItem.alike``: seconds, images
        self._passed = (0.0, 0.0)  # seconds, passes
        self.done = 0
        self.failed = 0

    def hear(self, event: Event, now_s: float) -> None:
        """Take in one event; others than those about the work's course say nothing."""
        if isinstance(event, Planned):
            self._phases = [({item.key: item for item in phase.items}, phase.workers) for phase in event.phases]
            self._items = {key: item for items, _ in self._phases for key, item in items.items()}
            self._ended = set()
        elif isinstance(event, Replanned) and self._phases:
            further = {item.key: item for item in event.items}
            for items in (self._phases[-1][0], self._items):
                for key in event.keys:
                    items.pop(key, None)
                items |= further
        elif isinstance(event, Began):
            item = self._items.get(event.key)
            if item is not None:
                self._running[event.key] = Running(item, now_s)
        elif isinstance(event, TrainingProgress):
            key = training_key(event.run_id)
            if key in self._running:
                before = self._running[key]
                self._running[key] = Running(before.item, before.since_s, event, now_s)
        elif isinstance(event, Ended):
            self._end(event, now_s)

    def _end(self, event: Ended, now_s: float) -> None:
        item = self._items.get(event.key)
        running = self._running.pop(event.key, None)
        if item is None or event.key in self._ended:
            return
        self._ended.add(event.key)
        self.done += not event.failed
        self.failed += event.failed
        took_s = event.seconds if event.seconds is not None else now_s - running.since_s if running else None
        if took_s is not None and event.whole and not event.failed:
            seconds, images = self._took.get(item.alike, (0.0, 0))
            self._took[item.alike] = (seconds + took_s, images + item.images)
            self._passed = (self._passed[0] + took_s, self._passed[1] + item.passes)

    def running(self) -> list[Running]:
        """What is at work now, the longest first."""
        return sorted(self._running.values(), key=lambda running: running.since_s)

    @property
    def total(self) -> int:
        """How many items there were and are."""
        return self.done + self.failed + len(self._items) - len(self._ended)

    def item(self, key: str) -> PlannedItem | None:
        """The item of that key in the newest plan."""
        return self._items.get(key)

    def left(self, now_s: float) -> Left | None:
        """The time until all is done, never negative; None while nothing tells it.

        Each phase ends when its last worker does: a worker that is free takes the next item.
        """
        total, at_most, late = 0.0, False, False
        a_pass, rates = self._seconds_a_pass(), self._rates()
        for items, workers in self._phases:
            of_running: list[float] = []
            waiting: list[float] = []
            for item in items.values():
                if item.key in self._ended:
                    continue
                price = self._price(item, a_pass, rates)
                running = self._running.get(item.key)
                if running is not None and running.told is not None:
                    of_running.append(max(0.0, running.told.left_s - (now_s - running.told_s)))
                    continue
                if price is None:
                    return None
                at_most |= price.at_most
                if running is not None:
                    rest = price.seconds - (now_s - running.since_s)
                    of_running.append(max(0.0, rest))
                    late |= rest < 0
                else:
                    waiting.append(price.seconds)
            total += _span(of_running, waiting, workers)
        return Left(total, at_most, late)

    def _price(self, item: PlannedItem, a_pass: float | None, rates: Mapping[str, float]) -> Left | None:
        """What an item takes: as its like takes in this command, else took before, else by its passes."""
        if (an_image := rates.get(item.alike)) is not None:
            return Left(an_image * item.images, at_most=False)
        if item.seconds is not None:
            return Left(item.seconds, at_most=False)
        return None if a_pass is None else Left(a_pass * item.passes, at_most=True)

    def _rates(self) -> dict[str, float]:
        """Seconds for an image in this command, by ``PlannedItem.alike``: of what has ended, else of trainings."""
        told: dict[str, list[float]] = {}
        for running in self._trainings():
            told.setdefault(running.item.alike, []).append(_of_an_image(running))
        ended = {alike: seconds / images for alike, (seconds, images) in self._took.items() if images}
        return {alike: sum(rates) / len(rates) for alike, rates in told.items()} | ended

    def _seconds_a_pass(self) -> float | None:
        """Seconds of a pass in this command so far; None before anything was timed."""
        seconds, passes = self._passed
        for running in self._trainings():
            seconds += _of_an_image(running)
            passes += running.item.passes / running.item.images
        return seconds / passes if passes else None

    def _trainings(self) -> list[Running]:
        """The trainings at work that have said how fast they are."""
        return [running for running in self._running.values() if running.told is not None]


def _of_an_image(running: Running) -> float:
    """Seconds of a training for an image, as it said last."""
    return 1 / running.told.images_per_s if running.told is not None else 0.0


def _span(running: Sequence[float], waiting: Sequence[float], workers: int) -> float:
    """Seconds until the last worker is free: each takes the next waiting item when it is done with its own."""
    free = [*running, *[0.0] * (workers - len(running))]
    heapq.heapify(free)
    for seconds in waiting:
        heapq.heappush(free, heapq.heappop(free) + seconds)
    return max(free, default=0.0)
