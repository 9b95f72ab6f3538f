"""Each network is attacked as soon as it is trained, beside other trainings; and the order changes no figure."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError, PluginFault, TrainingFailed
from harness.events import (
    Ended,
    EvaluationProgress,
    Event,
    Noted,
    Planned,
    Replanned,
    Report,
    TrainingBegan,
    training_key,
)
from harness.execution import claimed
from harness.execution.conduct import known_of
from harness.execution.executors.executor import InProcess, Performed, Supply, W
from harness.execution.executors.placement import Placement
from harness.execution.outlook import Outlook
from harness.execution.summary import Summary
from harness.execution.work import BlockWork, TrainWork
from harness.planning.missing import find_missing
from harness.store.opening import WantedRun
from harness.store.records import RunRecord
from harness.store.store import Store
from tests.harness.execution.asked import conduct, jobs
from tests.harness.store.holders import FAR, taken


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.write(str(tmp_path / "results.db"))
    yield opened
    opened.close()


class SlowSecond(InProcess):
    """Two workers: one is at its second item, a training, until the other one finds nothing more to do.

    Attributes:
        done: keys of the items, as they ended.
    """

    workers = 2

    def __init__(self, fails: dict[str, HarnessError] | None = None) -> None:
        self.done: list[str] = []
        self._fails = fails or {}

    def run(self, works: Supply[W], listen: Report) -> Iterator[Performed[W]]:
        first, slow = works.take(), works.take()
        while (work := first or works.take()) is not None:
            first = None
            yield self._do(work, listen)
        if slow is not None:
            yield self._do(slow, listen)
        while not works.over:
            work = works.take()
            if work is not None:
                yield self._do(work, listen)

    def _do(self, work: W, listen: Report) -> Performed[W]:
        self.done.append(work.key)
        kind = "training" if isinstance(work, TrainWork) else work.attack if isinstance(work, BlockWork) else "checks"
        error = self._fails.get(f"{kind} {work.run_id}" if isinstance(work, TrainWork) else kind)
        if error is None:
            work.perform(listen)
        return Performed(work, error)


def on(monkeypatch: pytest.MonkeyPatch, executor: SlowSecond) -> SlowSecond:
    monkeypatch.setattr(Placement, "executor", lambda *_: executor)
    return executor


def figures(run: RunRecord, store: Store) -> dict[tuple[str, str, int], bytes]:
    return {(run.identity, e.attack, e.seed): store.verdicts(e.id) for c in run.checkpoints for e in c.evaluations}


def test_the_first_network_is_attacked_while_the_second_is_trained(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = jobs(methods=("standard",), checks=True)
    with monkeypatch.context() as patch:
        executor = on(patch, SlowSecond())
        conduct(find_missing(asked, store), store, tmp_path)
    first, second = store.runs()
    at = {key: executor.done.index(key) for key in map(training_key, (first.id, second.id))}
    blocks = {
        run.id: [n for n, key in enumerate(executor.done) for e in run.checkpoints[-1].evaluations if f"{e.id}," in key]
        for run in (first, second)
    }
    assert [len(found) for found in blocks.values()] == [4, 4]
    assert at[training_key(first.id)] < min(blocks[first.id]) <= max(blocks[first.id]) < at[training_key(second.id)]
    assert at[training_key(second.id)] < min(blocks[second.id])
    after = Store.write(str(tmp_path / "after.db"))
    conduct(find_missing(asked, after), after, tmp_path / "after")  # one worker: trainings before all attacks
    for run, other in zip(store.runs(), after.runs(), strict=True):
        assert len(run.checkpoints[-1].examinations) == len(other.checkpoints[-1].examinations) == 2
        assert figures(run, store) == figures(other, after)
    after.close()


def test_an_attack_that_cannot_be_done_ends_the_command_once_all_is_trained(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = on(monkeypatch, SlowSecond({"natural": PluginFault("the attack 'natural' gave no images")}))
    told: list[Event] = []
    with pytest.raises(PluginFault, match=r"^the attack 'natural' gave no images$"):
        conduct(find_missing(jobs(methods=("standard",)), store), store, tmp_path, told.append)
    assert [run.status for run in store.runs()] == ["done", "done"]
    assert len(executor.done) == 3  # no other attack begins
    assert [event.text for event in told if isinstance(event, Noted)] == [
        "no further attack is taken up, and the trainings go on; then the command ends"
    ]
    (failed,) = [event for event in told if isinstance(event, Ended) and event.failed]
    assert failed.reason == "the attack 'natural' gave no images"
    outlook, totals = Outlook(), []
    for event in told:
        outlook.hear(event, 0.0)
        totals.append(outlook.total)
    assert totals[-1] == 3  # two trainings, and the attack that failed
    assert (outlook.done, outlook.failed, outlook.running()) == (2, 1, [])


@pytest.mark.parametrize("held", [1, 2])
def test_a_held_fault_waits_for_no_training_of_another_command(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    """Of three networks the first is attacked; of the others one, or both, are in training elsewhere."""
    asked = jobs(methods=("standard",), train_seeds=3)
    opened = [store.start_runs([WantedRun(spec=spec, attempt=1, **known_of(asked[0]))])[0] for spec in asked[0].specs]
    for run in opened[-held:]:
        taken(store, training_key(run.id), FAR, run_id=run.id)
    on(monkeypatch, SlowSecond({"natural": PluginFault("no images")}))
    with pytest.raises(PluginFault, match="no images"):
        conduct(find_missing(asked, store), store, tmp_path)
    assert [run.status for run in store.runs()] == ["done"] * (3 - held) + ["running"] * held


def test_a_training_that_is_done_alone_and_held_elsewhere_keeps_nothing_else_waiting(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each training takes all cores. Another command holds the first, and gives it back when all else is done."""
    monkeypatch.setattr(claimed, "_LOOK_AGAIN_S", 0.05)
    monkeypatch.setattr("harness.execution.trainings.training_threads", lambda *_: 2)
    asked = jobs(methods=("standard",), train_seeds=2)
    first, second = (
        store.start_runs([WantedRun(spec=spec, attempt=1, **known_of(asked[0]))])[0] for spec in asked[0].specs
    )
    theirs, done = taken(store, training_key(first.id), FAR, run_id=first.id), list[str]()

    def hear(event: Event) -> None:
        if isinstance(event, Ended):
            done.append(event.key)
            if len(done) == 5:  # one training, two attacks on two blocks
                store.give_back([theirs], FAR, "cancelled", "Ctrl-C")

    summary = conduct(find_missing(asked, store), store, tmp_path, hear)
    assert (done[0], done[5]) == (training_key(second.id), training_key(first.id))
    assert (summary.trained, summary.blocks) == (2, 8)


def test_an_attack_that_cannot_be_done_ends_the_command_at_once_where_all_is_trained(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = on(monkeypatch, SlowSecond({"natural": PluginFault("no images")}))
    told: list[Event] = []
    with pytest.raises(PluginFault, match="no images"):
        conduct(find_missing(jobs(methods=("standard",), train_seeds=1), store), store, tmp_path, told.append)
    assert len(executor.done) == 2
    assert not [event for event in told if isinstance(event, Noted)]


def test_a_training_that_fails_takes_its_attacks_out_of_the_plan(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, SlowSecond({"training 1": TrainingFailed("the loss is not finite", 1, 1)}))
    told: list[Event] = []
    summary = conduct(find_missing(jobs(methods=("standard",)), store), store, tmp_path, told.append)
    assert list(summary.failures) == [1]
    progress = [(event.done, event.blocks) for event in told if isinstance(event, EvaluationProgress)]
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    outlook = Outlook()
    totals = []
    for event in told:
        outlook.hear(event, 0.0)
        totals.append(outlook.total)
    assert totals[-1] == 2 + 4  # two trainings, and the blocks of one network
    assert max(totals) == 2 + 8
    assert (outlook.done, outlook.failed) == (5, 1)


@pytest.mark.parametrize("beside", [False, True])
def test_the_plan_counts_each_item_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    if beside:
        on(monkeypatch, SlowSecond())
    missing, told, outlook = find_missing(jobs(methods=("standard",), checks=True), store), list[Event](), Outlook()
    conduct(missing, store, tmp_path, told.append)
    totals = set()
    for event in told:
        outlook.hear(event, 0.0)
        totals.add(outlook.total)
    assert totals - {0} == {missing.items} == {12}
    assert outlook.done == 12
    left = outlook.left(0.0)
    assert left is not None
    assert left.seconds == 0.0
    assert len([event for event in told if isinstance(event, Planned)]) == 1
    known = [item.key for event in told if isinstance(event, Replanned) for item in event.items]
    trainings = [training_key(run.id) for run in store.runs()]
    assert {event.key for event in told if isinstance(event, Ended)} == {*known, *trainings}


def test_what_another_process_has_trained_meanwhile_is_attacked_here(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claimed, "_LOOK_AGAIN_S", 0.05)
    asked = jobs(methods=("standard",), train_seeds=1)
    elsewhere = Store.write(str(tmp_path / "elsewhere.db"))
    conduct(find_missing(asked, elsewhere), elsewhere, tmp_path / "elsewhere")
    (whole,) = elsewhere.runs()

    def stop(event: Event) -> None:
        if isinstance(event, TrainingBegan):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conduct(find_missing(asked, store), store, tmp_path / "here", stop)
    (run,) = store.runs()
    theirs = taken(store, training_key(run.id), FAR, run_id=run.id)

    def they_end(event: Event) -> None:
        if isinstance(event, Noted):  # that they hold it
            shutil.copytree(tmp_path / "elsewhere" / whole.folder, tmp_path / "here" / run.folder, dirs_exist_ok=True)
            for one in whole.checkpoints:
                store.add_checkpoint(run.id, one.name, one.epoch or 0, one.sha256, theirs)
            store.end_run(run.id, lease=theirs)

    summary = conduct(find_missing(asked, store), store, tmp_path / "here", they_end)
    assert (summary.trained, summary.blocks) == (0, 4)
    assert figures(store.runs()[0], store) == figures(whole, elsewhere)
    elsewhere.close()


def test_wall_seconds_are_split_by_what_was_at_work_in_them() -> None:
    summary = Summary()
    summary.busy_s["training"] += 6.0
    summary.spend(6.5)  # a training that takes the whole machine
    summary.busy_s["pgd"] += 3.0
    summary.busy_s["training"] += 9.0
    summary.spend(8.0)  # of two workers
    summary.spend(5.0)  # waiting for others
    assert summary.shares() == {"training": 6.5 + 6.0, "pgd": 2.0}
    further: Any = Summary()
    further.busy_s["pgd"] += 1.0
    further.spend(1.5)
    summary.add(further)
    assert summary.shares() == {"training": 12.5, "pgd": 3.5}
    assert Summary().shares() == {"training": 0.0}
