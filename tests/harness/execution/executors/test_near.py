"""Which process performs which item: what one process learns at an item serves it at the next one that is like it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from harness.events import Report
from harness.execution.executors.child import ItemEnded
from harness.execution.executors.processes import Processes, _Worker
from harness.execution.waiting import Waiting


class Alike:
    """A source of items named ``a1``, ``a2``, ``b1``: like each other by their first letter."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.waiting = Waiting[Any]()
        self.at_work: list[str] = []
        self.waiting.add(SimpleNamespace(key=key, near=key[0], seconds=s) for key, s in seconds.items())

    @property
    def over(self) -> bool:
        return not self.waiting and not self.at_work

    def take(self, near: str | None = None) -> Any:
        if not self.waiting:
            return None
        work = self.waiting.pop(near, self.at_work)
        self.at_work.append(work.near)
        return work

    def waits(self, near: str) -> bool:
        return self.waiting.has(near)


class Simulated(Processes):
    """Its processes are made up, and an item takes the seconds that it says."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.now_s = 0.0
        self.took: dict[str, tuple[int, float, float]] = {}  # by item: the process, when it began, when it ended
        self.ends: dict[int, float] = {}

    def _start(self) -> _Worker:
        place: Any = len(self._workers)
        nothing: Any = None
        started = self._workers[place] = _Worker(place, nothing, nothing)
        return started

    def _give(self, worker: _Worker, number: int, work: Any) -> None:
        worker.item, worker.near, worker.since = number, work.near, self.now_s
        self.ends[worker.place] = self.now_s + work.seconds
        self.took[work.key] = (worker.place, self.now_s, self.ends[worker.place])

    def _heard(self, listen: Report) -> Iterator[tuple[_Worker, ItemEnded]]:
        if self.ends:
            place = min(self.ends, key=lambda place: self.ends[place])
            self.now_s = self.ends.pop(place)
            yield self._workers[place], ItemEnded(None)

    def __exit__(self, *exception: object) -> None:
        self._workers.clear()
        super().__exit__(*exception)


def performed(workers: int, seconds: dict[str, float]) -> Simulated:
    """What became of the items."""
    source = Alike(seconds)
    with Simulated(workers) as executor:
        for outcome in executor.run(source, lambda _event: None):
            source.at_work.remove(outcome.work.near)
    assert executor.took.keys() == seconds.keys()
    return executor


def strangers(executor: Simulated) -> int:
    """How often a process did an item unlike its last, beside its first."""
    by_place: dict[int, list[tuple[float, str]]] = {}
    for key, (place, began, _) in executor.took.items():
        by_place.setdefault(place, []).append((began, key[0]))
    turns = [[letter for _, letter in sorted(done)] for done in by_place.values()]
    return sum(a != b for one in turns for a, b in itertools.pairwise(one))


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_items_that_are_alike_are_done_by_one_process(workers: int) -> None:
    """Four groups of five: each group is begun once, so that a process changes its group as seldom as can be."""
    done = performed(workers, {f"{letter}{n}": 1.0 for letter in "abcd" for n in range(5)})
    begun = Counter(place for place, _, _ in {(p, k[0], 0) for k, (p, _, _) in done.took.items()})
    assert sum(begun.values()) - 4 <= (2 if workers == 3 else 0)  # the fourth group is shared by three at the end
    assert done.now_s == {1: 20, 2: 10, 3: 7, 4: 5}[workers]


def test_nobody_is_idle_while_an_item_waits() -> None:
    """One group takes much longer: its last items go to the process that would have nothing to do."""
    done = performed(2, {**{f"a{n}": 1.0 for n in range(3)}, **{f"b{n}": 4.0 for n in range(5)}})
    assert {done.took[f"a{n}"][0] for n in range(3)} == {0}
    assert {done.took[f"b{n}"][0] for n in range(2)} == {1}
    assert {place for place, _, _ in done.took.values()} == {0, 1}
    assert done.now_s <= 3 + 4 + 4 + 4
    ends = [max(end for place, _, end in done.took.values() if place == n) for n in (0, 1)]
    assert abs(ends[0] - ends[1]) < 4.0


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_a_long_item_does_not_keep_the_others_from_going_on_with_their_like(workers: int) -> None:
    """Such as a training: nothing is like it, so no spare item is for its process."""
    groups = {f"{letter}{n}": 1.0 for letter in "abcdefgh" for n in range(5)}
    done = performed(workers, {"Z": 1000.0, **groups})
    assert strangers(done) <= 8 + 5 * (workers > 2)  # the last groups are shared, so that nobody is idle
    for letter in "abcd":
        assert len({place for key, (place, _, _) in done.took.items() if key[0] == letter}) == 1
    assert max(end for key, (_, _, end) in done.took.items() if key != "Z") <= -(-40 // (workers - 1)) + 1


def test_the_spare_item_of_one_process_goes_to_another_before_that_is_idle() -> None:
    done = performed(2, {"a1": 9.0, "a2": 1.0, "b1": 1.0})
    assert done.took["b1"][0] == 1
    assert done.took["a2"][0] == 1
    assert done.now_s == 9.0
    assert strangers(done) == 1
