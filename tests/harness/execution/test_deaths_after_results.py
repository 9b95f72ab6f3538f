"""A worker that dies after its block is in the store: the block counts once, and is not given up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import WorkerLost
from harness.events import Event, Noted, Report
from harness.execution.conduct import Conductor
from harness.execution.executors.executor import InProcess, Performed, Supply, W, one_by_one
from harness.execution.executors.placement import Placement
from harness.planning.missing import find_missing
from harness.store.store import Store
from harness.trackers.outcomes import EvaluationDone
from tests.harness.execution.asked import jobs


class Dying(InProcess):
    """Performs each item, dies, and performs it again; and dies once more if told so."""

    def __init__(self, *, at_last: bool) -> None:
        self.at_last = at_last

    def run(self, works: Supply[W], listen: Report) -> Iterator[Performed[W]]:
        for work in one_by_one(works):
            work.perform(listen)
            if "evaluation" in work.key:
                work.perform(listen)
            lost = self.at_last and "evaluation" in work.key
            yield Performed(work, WorkerLost("a worker process ended with exit code -11") if lost else None)


@pytest.mark.parametrize("at_last", [False, True])
def test_a_block_that_is_stored_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_last: bool) -> None:
    monkeypatch.setattr(Placement, "executor", lambda _self, _items: Dying(at_last=at_last))
    store, events = Store.write(str(tmp_path / "results.db")), list[Event]()
    missing = find_missing(jobs(methods=("standard",), train_seeds=1), store)
    summary = Conductor(missing, store, tmp_path / "runs", events.append, Placement()).conduct()
    evaluations = [one for held in store.run(1).checkpoints for one in held.evaluations]
    store.close()
    assert [one.complete for one in evaluations] == [True, True]
    assert summary.undone == {}
    assert summary.blocks == 4  # two attacks on two blocks
    assert [event.attack for event in events if isinstance(event, EvaluationDone)] == ["natural", "pgd"]
    assert [event.text for event in events if isinstance(event, Noted)] == []
